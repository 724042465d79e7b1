"""What the tray icon shows and does: it follows the running vidbg by its events."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

from vidbg.cli.browser import open_page
from vidbg.cli.ctl.run_client import API, Client, of_page
from vidbg.cli.tray.icon import Mood
from vidbg.cli.tray.item import Item, notify, put_in_tray
from vidbg.cli.tray.menu import Entry, Menu
from vidbg.errors import VidbgError
from vidbg.sinks.web.events_client import run_events
from vidbg.sinks.web.running_pages import running_pages

SEARCH_PERIOD_S = 2.0
"""Time between searches for a run while there is none."""

NO_TRAY = (
    "no desktop here shows tray icons yet; GNOME needs the AppIndicator extension. Waiting for one"
)

MAX_FILES = 20
"""Longer menus do not fit on a screen; the page has all backgrounds."""


class Tray:
    """An icon that follows a run.

    Args:
        only: the run; it ends with that. None for whichever is running, now and later.
        tell: prints a line.
    """

    def __init__(self, only: Client | None, tell: Callable[[str], None]) -> None:
        self._only, self._tell = only, tell
        self._item = Item(lambda: self._do(self._open_page), lambda: self._do(self._toggle))
        self._menu = Menu()
        self._client: Client | None = None
        self._away = False
        self._lists: tuple[Any, dict[str, Any], list[Any]] = (None, {}, [])
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Show the icon until its Quit is chosen."""
        self._bus = await put_in_tray(self._item, self._menu, lambda: self._tell(NO_TRAY))
        following = asyncio.create_task(self._follow())
        ended = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait([following, ended], return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
        finally:
            following.cancel()
            ended.cancel()
            self._bus.disconnect()

    async def _follow(self) -> None:
        """Find a run and show its states until it ends, again and again."""
        while True:
            pages = running_pages() if self._only is None else []
            self._client = self._only or (of_page(pages[0].url) if pages else None)
            if self._client is None:
                self._show_no_run()
            else:
                try:
                    async with aclosing(
                        run_events(self._client.address + API, self._client.headers)
                    ) as events:
                        async for event in events:
                            await self._show_state(self._client, event["state"])
                except VidbgError as error:
                    if self._only is not None:
                        raise
                    self._show_no_run(str(error))
                if self._only is not None:
                    return
            await asyncio.sleep(SEARCH_PERIOD_S)

    def _show_no_run(self, why: str = "") -> None:
        """Show that vidbg is off, and why."""
        self._item.show("off", why or "off")
        self._menu.show(
            [
                Entry("vidbg is off"),
                Entry("Start vidbg", lambda: self._do(_start)),
                Entry(),
                Entry("Remove this icon", self._ended.set),
            ]
        )

    async def _show_state(self, client: Client, state: dict[str, Any]) -> None:
        """Show a state; ask for the lists of backgrounds and profiles when they have changed."""
        if self._lists[0] != (client, state["lists"]):
            backgrounds = await asyncio.to_thread(client.ask, "GET", "/backgrounds")
            profiles = await asyncio.to_thread(client.ask, "GET", "/profiles")
            self._lists = (client, state["lists"]), backgrounds, profiles
        self._away = state["away"]
        now = state["status"] or {"state": "starting", "words": "starting", "reason": None}
        mood: Mood = "on air" if now["state"] == "live" else "paused"
        words = "YOUR REAL ROOM IS ON AIR" if state["room_on_air"] else now["words"]
        self._item.show(mood, words + (f": {now['reason']}" if now["reason"] else ""))
        self._menu.show(self._entries(words, state["background"]))

    def _entries(self, words: str, shown: dict[str, Any] | None) -> list[Entry]:
        """Return the menu of a run in a state, with the background that is shown."""
        _, backgrounds, profiles = self._lists
        shown = shown or {"kind": "", "value": ""}
        files = (*backgrounds["pictures"], *backgrounds["files"][:MAX_FILES])
        choices = [
            *((kind["label"], kind["kind"], shown["kind"]) for kind in backgrounds["kinds"]),
            *((file["name"], file["value"], shown["value"]) for file in files),
        ]
        looks = [
            Entry(label, self._asking("PATCH", "/settings", {"background": value}), value == now)
            for label, value, now in choices
        ]
        saved = [
            Entry(
                profile["name"],
                self._asking("POST", f"/profiles/{quote(profile['name'], safe='')}/apply"),
            )
            for profile in profiles
        ]
        return [
            Entry(words),
            Entry("Resume" if self._away else "Pause", lambda: self._do(self._toggle)),
            Entry("Background", entries=tuple(looks)),
            *([Entry("Profile", entries=tuple(saved))] if saved else []),
            Entry(),
            Entry("Open the page", lambda: self._do(self._open_page)),
            Entry("Quit vidbg", self._asking("POST", "/quit")),
        ]

    def _asking(self, method: str, path: str, body: Any = None) -> Callable[[], None]:
        """Return what sends a request to the run in a thread."""

        def ask() -> None:
            if self._client is not None:
                self._client.ask(method, path, body)

        return lambda: self._do(ask)

    def _toggle(self) -> None:
        if self._client is not None:
            self._client.ask("POST", "/away", {"away": not self._away})

    def _open_page(self) -> None:
        if self._client is None:
            _start()
        else:
            open_page(self._client)

    def _do(self, work: Callable[[], None]) -> None:
        """Do in a thread what may take long; show what fails as a notification."""

        async def run() -> None:
            try:
                await asyncio.to_thread(work)
            except VidbgError as error:
                await notify(self._bus, str(error))

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _start() -> None:
    subprocess.Popen(
        [sys.executable, "-m", "vidbg", "app"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
