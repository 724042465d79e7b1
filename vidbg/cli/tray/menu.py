"""A menu on D-Bus, com.canonical.dbusmenu, which desktops draw for tray icons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from dbus_fast import Variant
from dbus_fast.annotations import DBusBool, DBusInt32, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

PATH = "/MenuBar"

Names = Annotated[list[str], DBusSignature("as")]
Numbers = Annotated[list[int], DBusSignature("ai")]
Properties = dict[str, Variant]
Layout = Annotated[tuple[int, list[Any]], DBusSignature("u(ia{sv}av)")]
Items = Annotated[list[tuple[int, Properties]], DBusSignature("a(ia{sv})")]
Event = Annotated[Variant, DBusSignature("v")]
Events = Annotated[list[tuple[int, str, Variant, int]], DBusSignature("a(isvu)")]
Updates = Annotated[tuple[list[int], list[int]], DBusSignature("aiai")]
Nothing = Annotated[None, DBusSignature("")]
"""dbus-fast cannot read None among annotations that are texts."""
LayoutUpdate = Annotated[tuple[int, int], DBusSignature("ui")]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a menu; without a label, a separator.

    Attributes:
        act: called when it is chosen; None for a line that only tells.
        chosen: for one of several, whether it is the one; None for others.
        entries: of its submenu.
    """

    label: str = ""
    act: Callable[[], None] | None = field(default=None, compare=False)
    chosen: bool | None = None
    entries: tuple[Entry, ...] = ()

    def properties(self) -> Properties:
        if not self.label:
            return {"type": Variant("s", "separator")}
        shown = {"label": Variant("s", self.label.replace("_", "__"))}  # one marks a key
        if self.act is None and not self.entries:
            shown["enabled"] = Variant("b", False)
        if self.entries:
            shown["children-display"] = Variant("s", "submenu")
        if self.chosen is not None:
            shown["toggle-type"] = Variant("s", "radio")
            shown["toggle-state"] = Variant("i", int(self.chosen))
        return shown


class Menu(ServiceInterface):
    """The menu that a desktop asks for; entries are numbered in the order in which they stand."""

    def __init__(self) -> None:
        super().__init__("com.canonical.dbusmenu")
        self._revision = 0
        self._entries: list[Entry] = [Entry("vidbg")]
        self._numbers: dict[int, list[int]] = {}

    def show(self, entries: Sequence[Entry]) -> None:
        """Replace the menu; one that reads the same stays open on the screen."""
        before, self._entries = self._entries, [Entry("vidbg", entries=tuple(entries))]
        self._number(0)
        if self._entries != before:
            self._revision += 1
            self.LayoutUpdated()

    def _number(self, parent: int) -> None:
        """Give the entries below one their numbers, which follow one another."""
        children = self._entries[parent].entries
        first = len(self._entries)
        self._entries += children
        self._numbers[parent] = list(range(first, first + len(children)))
        for number in self._numbers[parent]:
            self._number(number)

    def _layout(self, number: int, depth: int) -> list[Any]:
        below = [] if depth == 0 else self._numbers.get(number, [])
        children = [Variant("(ia{sv}av)", self._layout(child, depth - 1)) for child in below]
        return [number, self._entries[number].properties(), children]

    @dbus_method()
    def GetLayout(
        self,
        parent: DBusInt32,
        depth: DBusInt32,
        names: Names,  # noqa: ARG002  (sending more than was asked for is allowed)
    ) -> Layout:
        number = parent if 0 <= parent < len(self._entries) else 0
        return self._revision, self._layout(number, depth)

    @dbus_method()
    def GetGroupProperties(self, numbers: Numbers, names: Names) -> Items:  # noqa: ARG002
        return [
            (number, self._entries[number].properties())
            for number in numbers or range(len(self._entries))
            if 0 <= number < len(self._entries)
        ]

    @dbus_method()
    def Event(
        self,
        number: DBusInt32,
        kind: DBusStr,
        data: Event,  # noqa: ARG002
        time: DBusUInt32,  # noqa: ARG002
    ) -> Nothing:
        if kind == "clicked" and 0 <= number < len(self._entries):
            act = self._entries[number].act
            if act is not None:
                act()

    @dbus_method()
    def EventGroup(self, events: Events) -> Numbers:
        for event in events:
            self.Event(*event)
        return []

    @dbus_method()
    def AboutToShow(self, number: DBusInt32) -> DBusBool:  # noqa: ARG002
        return False  # it is always as new as it can be

    @dbus_method()
    def AboutToShowGroup(self, numbers: Numbers) -> Updates:  # noqa: ARG002
        return [], []

    @dbus_signal()
    def LayoutUpdated(self) -> LayoutUpdate:
        return self._revision, 0

    @dbus_property(access=PropertyAccess.READ)
    def Version(self) -> DBusUInt32:
        return 3

    @dbus_property(access=PropertyAccess.READ)
    def Status(self) -> DBusStr:
        return "normal"

    @dbus_property(access=PropertyAccess.READ)
    def TextDirection(self) -> DBusStr:
        return "ltr"

    @dbus_property(access=PropertyAccess.READ)
    def IconThemePath(self) -> Names:
        return []
