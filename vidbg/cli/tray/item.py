"""A tray icon on D-Bus, org.kde.StatusNotifierItem, and its registration with the desktop."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import (
    DBusBool,
    DBusInt32,
    DBusObjectPath,
    DBusSignature,
    DBusStr,
)
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from vidbg.cli.tray.icon import Mood, pixmaps
from vidbg.cli.tray.menu import PATH as MENU_PATH
from vidbg.cli.tray.menu import Menu, Nothing
from vidbg.errors import VidbgError

PATH = "/StatusNotifierItem"
NAME = f"org.kde.StatusNotifierItem-{os.getpid()}-1"
WATCHER = "org.kde.StatusNotifierWatcher"
BUS = "org.freedesktop.DBus"

Pixmaps = Annotated[list[tuple[int, int, bytes]], DBusSignature("a(iiay)")]
ToolTipType = Annotated[tuple[str, list[Any], str, str], DBusSignature("(sa(iiay)ss)")]


class Item(ServiceInterface):
    """The icon.

    Args:
        open_page, toggle: called by a click, and by one with the middle button.
    """

    def __init__(self, open_page: Callable[[], None], toggle: Callable[[], None]) -> None:
        super().__init__("org.kde.StatusNotifierItem")
        self._open_page, self._toggle = open_page, toggle
        self._mood: Mood = "off"
        self._text = ""

    def show(self, mood: Mood, text: str) -> None:
        """Change the picture and the text of its tool tip."""
        before, self._mood, self._text = (self._mood, self._text), mood, text
        if mood != before[0]:
            self.NewIcon()
        if text != before[1]:
            self.NewToolTip()

    @dbus_method()
    def Activate(self, x: DBusInt32, y: DBusInt32) -> Nothing:  # noqa: ARG002
        self._open_page()

    @dbus_method()
    def SecondaryActivate(self, x: DBusInt32, y: DBusInt32) -> Nothing:  # noqa: ARG002
        self._toggle()

    @dbus_method()
    def ContextMenu(self, x: DBusInt32, y: DBusInt32) -> Nothing:
        """Do nothing: the desktop draws the menu that Menu names."""

    @dbus_method()
    def Scroll(self, delta: DBusInt32, orientation: DBusStr) -> Nothing:
        """Do nothing."""

    @dbus_signal()
    def NewIcon(self) -> Nothing:
        """Tell that the picture has changed."""

    @dbus_signal()
    def NewToolTip(self) -> Nothing:
        """Tell that the text has changed."""

    @dbus_property(access=PropertyAccess.READ)
    def Category(self) -> DBusStr:
        return "ApplicationStatus"

    @dbus_property(access=PropertyAccess.READ)
    def Id(self) -> DBusStr:
        return "vidbg"

    @dbus_property(access=PropertyAccess.READ)
    def Title(self) -> DBusStr:
        return "vidbg"

    @dbus_property(access=PropertyAccess.READ)
    def Status(self) -> DBusStr:
        return "Active"

    @dbus_property(access=PropertyAccess.READ)
    def IconName(self) -> DBusStr:
        return ""  # so that the pixels are taken

    @dbus_property(access=PropertyAccess.READ)
    def IconPixmap(self) -> Pixmaps:
        return pixmaps(self._mood)

    @dbus_property(access=PropertyAccess.READ)
    def ToolTip(self) -> ToolTipType:
        return "", [], "vidbg", self._text

    @dbus_property(access=PropertyAccess.READ)
    def ItemIsMenu(self) -> DBusBool:
        return False

    @dbus_property(access=PropertyAccess.READ)
    def Menu(self) -> DBusObjectPath:
        return MENU_PATH


async def put_in_tray(item: Item, menu: Menu, on_missing: Callable[[], None]) -> MessageBus:
    """Put an icon in the tray of this session's desktop, even if that starts later.

    Args:
        on_missing: called where no desktop shows such icons now.
    Returns:
        The connection; disconnecting it takes the icon away.
    Raises:
        VidbgError: there is no desktop session.
    """
    try:
        bus = await MessageBus(bus_type=BusType.SESSION).connect()
    except Exception as error:  # whatever the address or the bus is like
        raise VidbgError(
            f"a tray icon needs a desktop session, and there is none here: {error}"
        ) from None
    bus.export(PATH, item)
    bus.export(MENU_PATH, menu)
    await bus.request_name(NAME)

    register = partial(_message, WATCHER, "/StatusNotifierWatcher", "RegisterStatusNotifierItem")

    def on_message(message: Message) -> None:
        if (
            message.message_type is MessageType.SIGNAL
            and message.member == "NameOwnerChanged"
            and message.body[0] == WATCHER
            and message.body[2]
        ):
            bus.send(register("s", NAME))

    # Register with the desktop that is here, and with each that starts later
    bus.add_message_handler(on_message)
    rule = f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{WATCHER}'"
    await bus.call(_message(BUS, "/org/freedesktop/DBus", "AddMatch", "s", rule))
    answer = await bus.call(register("s", NAME))
    if answer is None or answer.message_type is MessageType.ERROR:
        on_missing()
    return bus


async def notify(bus: MessageBus, text: str) -> None:
    """Show a text as a notification of the desktop."""
    name, path = "org.freedesktop.Notifications", "/org/freedesktop/Notifications"
    body: tuple[Any, ...] = ("vidbg", 0, "vidbg", "vidbg", text, [], {}, -1)
    await bus.call(_message(name, path, "Notify", "susssasa{sv}i", *body))


def _message(service: str, path: str, member: str, signature: str, *body: Any) -> Message:
    """Return a call of a service's method, on the interface that has the service's name."""
    return Message(
        destination=service,
        path=path,
        interface=service,
        member=member,
        signature=signature,
        body=list(body),
    )
