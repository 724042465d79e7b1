"""The tray icon on a separate bus, with a simulated desktop."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

pytest.importorskip("dbus_fast")
from dbus_fast import Variant
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusStr
from dbus_fast.service import ServiceInterface, dbus_method
from running import Run

from vidbg.cli.ctl.run_client import of_page
from vidbg.cli.tray import item as item_module
from vidbg.cli.tray.icon import draw, pixmaps
from vidbg.cli.tray.item import NAME, PATH, WATCHER, Item, put_in_tray
from vidbg.cli.tray.menu import PATH as MENU_PATH
from vidbg.cli.tray.menu import Entry, Menu, Nothing
from vidbg.errors import VidbgError

pytestmark = pytest.mark.dbus

BLANK = Variant("i", 0)
"""What comes with an event, and means nothing."""


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a session bus and yield its address."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("there is no dbus-daemon")
    folder = tmp_path_factory.mktemp("bus")
    command = ["dbus-daemon", "--session", "--nofork", f"--address=unix:dir={folder}"]
    with subprocess.Popen([*command, "--print-address"], stdout=subprocess.PIPE, text=True) as own:
        assert own.stdout is not None
        address = own.stdout.readline().strip()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address
        own.terminate()


class Watcher(ServiceInterface):
    """What GNOME's extension, KDE and others run: it learns of icons."""

    def __init__(self) -> None:
        super().__init__(WATCHER)
        self.registered: asyncio.Queue[str] = asyncio.Queue()

    @dbus_method()
    def RegisterStatusNotifierItem(self, service: DBusStr) -> Nothing:
        self.registered.put_nowait(service)

    async def take_over(self) -> MessageBus:
        bus = await MessageBus().connect()
        bus.export("/StatusNotifierWatcher", self)
        await bus.request_name(WATCHER)
        return bus


def within(work: Coroutine[Any, Any, None], most_s: float = 10) -> None:
    asyncio.run(asyncio.wait_for(work, most_s))


async def proxy(bus: MessageBus, path: str, interface: str, name: str = NAME) -> Any:
    introspection = await bus.introspect(name, path)
    return bus.get_proxy_object(name, path, introspection).get_interface(interface)


def labels(layout: list[Any]) -> list[Any]:
    """Return the labels of a layout, with those of a submenu in a list."""
    names: list[Any] = []
    for child in layout[2]:
        _, shown, children = child.value
        names.append(shown["label"].value if "label" in shown else "-")
        if children:
            names.append(labels(child.value))
    return names


@pytest.mark.usefixtures("bus")
def test_a_desktop_shows_the_icon_and_its_menu() -> None:
    done: list[str] = []

    async def play() -> None:
        watcher = Watcher()
        desktop = await watcher.take_over()
        item = Item(lambda: done.append("page"), lambda: done.append("toggle"))
        menu = Menu()
        own = await put_in_tray(item, menu, lambda: done.append("missing"))
        assert await watcher.registered.get() == NAME
        item.show("on air", "live")
        menu.show(
            [
                Entry("live"),
                Entry("Pause", lambda: done.append("pause")),
                Entry(),
                Entry("Background", entries=(Entry("Blur", lambda: done.append("blur"), True),)),
            ]
        )
        shown = await proxy(desktop, PATH, "org.kde.StatusNotifierItem")
        assert await shown.get_tool_tip() == ("", [], "vidbg", "live")
        sizes = [
            (width, height, len(pixels)) for width, height, pixels in await shown.get_icon_pixmap()
        ]
        assert sizes == [(22, 22, 22 * 22 * 4), (44, 44, 44 * 44 * 4)]
        assert await shown.get_menu() == MENU_PATH
        await shown.call_activate(0, 0)
        await shown.call_secondary_activate(0, 0)
        drawn = await proxy(desktop, MENU_PATH, "com.canonical.dbusmenu")
        revision, layout = await drawn.call_get_layout(0, -1, [])
        assert revision == 1
        assert labels(layout) == ["live", "Pause", "-", "Background", ["Blur"]]
        numbers = [child.value[0] for child in layout[2]]
        blur = layout[2][3].value[2][0].value[0]
        await drawn.call_event(numbers[1], "clicked", BLANK, 0)
        await drawn.call_event(numbers[1], "hovered", BLANK, 0)
        await drawn.call_event(99, "clicked", BLANK, 0)
        await drawn.call_event_group([(blur, "clicked", BLANK, 0)])
        ((_, properties),) = await drawn.call_get_group_properties([blur], [])
        assert properties["toggle-state"].value == 1
        own.disconnect()
        desktop.disconnect()

    within(play())
    assert done == ["page", "toggle", "pause", "blur"]


@pytest.mark.usefixtures("bus")
def test_a_menu_that_reads_the_same_is_left_open_but_does_the_new_thing() -> None:
    done: list[str] = []

    async def play() -> None:
        own = await MessageBus().connect()
        menu = Menu()
        own.export(MENU_PATH, menu)
        await own.request_name(NAME)
        desktop = await MessageBus().connect()
        drawn = await proxy(desktop, MENU_PATH, "com.canonical.dbusmenu")
        updates: list[int] = []
        drawn.on_layout_updated(lambda revision, _: updates.append(revision))
        await drawn.call_about_to_show(0)
        menu.show([Entry("Pause", lambda: done.append("old"))])
        menu.show([Entry("Pause", lambda: done.append("new"))])
        menu.show([Entry("Resume", lambda: done.append("resume"))])
        menu.show([Entry("Resume", lambda: done.append("newest"))])
        await drawn.call_about_to_show(0)
        assert updates == [1, 2]
        menu.Event(1, "clicked", BLANK, 0)
        own.disconnect()
        desktop.disconnect()

    within(play())
    assert done == ["newest"]


@pytest.mark.usefixtures("bus")
def test_a_desktop_that_starts_later_gets_the_icon() -> None:
    missing: list[str] = []

    async def play() -> None:
        own = await put_in_tray(
            Item(lambda: None, lambda: None), Menu(), lambda: missing.append("missing")
        )
        watcher = Watcher()
        desktop = await watcher.take_over()
        assert await watcher.registered.get() == NAME
        own.disconnect()
        desktop.disconnect()

    within(play())
    assert missing == ["missing"]


@pytest.mark.usefixtures("bus")
def test_the_icon_follows_a_run_and_its_menu_changes_it(run: Run) -> None:
    page = of_page(run.url)

    async def play() -> None:
        watcher = Watcher()
        desktop = await watcher.take_over()
        environment = run.environment | {
            name: os.environ[name] for name in ("DBUS_SESSION_BUS_ADDRESS",)
        }
        tray = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "vidbg", "ctl", "tray", env=environment
        )
        name = await watcher.registered.get()
        drawn = await proxy(desktop, MENU_PATH, "com.canonical.dbusmenu", name)

        async def entry(*path: str) -> int:
            """Return the number of the entry at a path of labels, once there is one."""
            while True:
                _, found = await drawn.call_get_layout(0, -1, [])
                for label in path:
                    children = [child.value for child in found[2]]
                    found = next(
                        (c for c in children if c[1].get("label") == Variant("s", label)), None
                    )
                    if found is None:
                        break
                if found is not None:
                    return int(found[0])
                await asyncio.sleep(0.05)

        await drawn.call_event(await entry("Background", "red wall.png"), "clicked", BLANK, 0)
        while (await asyncio.to_thread(page.ask, "GET", "/state"))["background"][
            "name"
        ] != "red wall.png":
            await asyncio.sleep(0.05)
        item = await proxy(desktop, PATH, "org.kde.StatusNotifierItem", name)
        assert (await item.get_tool_tip())[3] != "off"
        await drawn.call_event(await entry("Pause"), "clicked", BLANK, 0)
        await entry("Resume")
        assert (await asyncio.to_thread(page.ask, "GET", "/state"))["away"] is True
        while [tuple(each) for each in await item.get_icon_pixmap()] != pixmaps("paused"):
            await asyncio.sleep(0.05)
        await drawn.call_event(await entry("Quit vidbg"), "clicked", BLANK, 0)
        assert await asyncio.to_thread(run.process.wait, 20) == 0
        await entry("Start vidbg")
        assert (await item.get_tool_tip())[3] == "off"
        await drawn.call_event(await entry("Remove this icon"), "clicked", BLANK, 0)
        assert await tray.wait() == 0
        desktop.disconnect()

    within(play(), 60)


@pytest.mark.usefixtures("bus")
def test_the_icon_of_the_app_ends_with_it() -> None:
    async def play() -> None:
        watcher = Watcher()
        desktop = await watcher.take_over()
        options = ("-c", "synthetic", "-o", "none", "--size", "320x240", "--panel", "0")
        app = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "vidbg", "app", "--tray", "--no-browser", *options
        )
        name = await watcher.registered.get()
        app.terminate()
        assert await app.wait() == 143
        while name in await owners(desktop):
            await asyncio.sleep(0.05)
        desktop.disconnect()

    async def owners(desktop: MessageBus) -> list[str]:
        introspection = await desktop.introspect("org.freedesktop.DBus", "/org/freedesktop/DBus")
        own: Any = desktop.get_proxy_object(
            "org.freedesktop.DBus", "/org/freedesktop/DBus", introspection
        ).get_interface("org.freedesktop.DBus")
        return list(await own.call_list_names())

    within(play(), 60)


@pytest.mark.parametrize("address", ["unix:path=/nowhere/bus", "nonsense"])
def test_without_a_session_there_is_one_error(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    with pytest.raises(VidbgError, match="needs a desktop session"):
        asyncio.run(item_module.put_in_tray(Item(lambda: None, lambda: None), Menu(), lambda: None))


def test_states_are_distinguishable_without_colour() -> None:
    grey = {mood: draw(mood, 22).convert("LA").tobytes() for mood in ("on air", "paused", "off")}
    assert len(set(grey.values())) == 3
