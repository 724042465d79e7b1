"""The page while vidbg does not answer or sends nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from app_rig import AppRun

from vidbg.sinks.web import web_access
from vidbg.util.lifecycle import Closeable

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.app

Open = Callable[..., "Page"]
TABS = ("background", "look", "camera", "output", "profiles", "status")


class Line(Closeable):
    """A connection to a server that can be cut: a port that hands everything on to another.

    Args:
        port: of the server.
    Attributes:
        port: to connect to.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self.whole = True
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            if not self.whole:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._server))
            self._open += [client, server]
            for ends in ((client, server), (server, client)):
                threading.Thread(target=_hand_on, args=ends, daemon=True).start()

    def cut(self) -> None:
        """End all connections without a word, and refuse new ones."""
        self.whole = False
        for end in self._open:
            with suppress(OSError):  # it has ended by itself
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass  # cut
    for end in (source, target):
        end.close()


@pytest.fixture
def line(app: AppRun) -> Iterator[Line]:
    with Line(app.port) as line:
        app.url = app.url.replace(f":{app.port}/", f":{line.port}/")
        yield line


def test_a_broken_connection_is_shown_and_mends_itself(
    app: AppRun, opened: Open, line: Line
) -> None:
    page = opened(app, "look")
    page.wait_for_selector("#empty", state="hidden")
    line.cut()
    page.wait_for_selector("body[data-link=lost]")
    assert page.locator("#empty-title").inner_text() == "vidbg does not answer"
    assert page.locator("#words").inner_text() == "Connection lost"
    assert page.title().startswith("Connection lost")
    assert page.locator(".setting :is(input, select):enabled").count() == 0
    for name in ("Pause", "Snapshot", "Record", "Quit vidbg"):
        assert page.get_by_role("button", name=name).is_disabled()
    line.whole = True
    page.wait_for_selector("body[data-link=open]")
    page.wait_for_selector("#empty", state="hidden")
    assert page.locator(".notice").inner_text().strip() == "Connected again."
    page.locator("[data-key=mirror] input").click()
    app.wait(lambda: app.live.config.mirror)


def test_a_change_that_cannot_be_sent_is_undone(app: AppRun, opened: Open) -> None:
    page = opened(app, "look")
    switch = page.locator("[data-key=mirror] input")
    page.route("**/api/v1/settings", lambda route: route.abort())
    switch.click()
    page.wait_for_selector(".error >> text=The change was not made")
    assert not switch.is_checked()
    assert not app.live.config.mirror


def test_a_wrong_token_is_explained(
    app: AppRun, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_access, "is_own_account", lambda _: False)
    page = opened(app)
    page.evaluate("sessionStorage.setItem('vidbg-token', 'another')")
    page.reload()
    page.wait_for_selector("body[data-link=refused]")
    assert page.locator("#empty-title").inner_text() == "This address is no longer valid"
    assert "?token=" in page.locator("#empty-body").inner_text()
    assert page.locator("#words").inner_text() == "Not allowed"
    usable = page.locator("button:enabled:visible, input:enabled:visible, select:enabled:visible")
    assert usable.evaluate_all("all => all.map(({ id }) => id)") == [
        "explain", "theme", *(f"tab-{name}" for name in TABS),
    ]  # fmt: skip
    page.goto(app.url)
    page.wait_for_selector("body[data-link=open]")
