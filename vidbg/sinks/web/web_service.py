"""An aiohttp application that serves the newest image and more in its own thread."""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidbg.errors import SinkError
from vidbg.frame import Image
from vidbg.platform.installation import install_command
from vidbg.sinks.web.app_thread import AppThread
from vidbg.sinks.web.newest_jpeg import NewestJpeg
from vidbg.sinks.web.outside_address import OutsideAddress
from vidbg.sinks.web.running_pages import Announcement, RunningPage
from vidbg.sinks.web.web_token import access_token
from vidbg.util.lifecycle import Closeable

if TYPE_CHECKING:
    from aiohttp import web


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where a service is reached.

    Attributes:
        host: name or address to listen at.
        port: 0 takes any that is free.
        hint: how another port is chosen, for the message.
        outside: where other devices reach it too, at the same port.
        announced: let this account's other programs find it, see `running_pages`.
    """

    host: str
    port: int
    hint: str
    outside: OutsideAddress | None = None
    announced: bool = False


def web_problem() -> str | None:
    """Return why no page can be served here, with the next step; None if it can."""
    installed = importlib.util.find_spec("aiohttp") is not None
    return None if installed else f"aiohttp is not installed: `{install_command('web')}`"


class WebService(Closeable):
    """An HTTP service that runs until it is closed; slow clients miss images.

    Args:
        name: in messages ("the web output").
        address: where it is reached.
        make: makes the application around the newest frame of each view, for clients that know the
            token; called by the thread that serves.
        views: names of what it shows; of all but the first, no frame is kept without clients.
    Attributes:
        port: where it listens.
        url: the page's address, with the token that opens it: a secret.
        outside_url: that for other devices; None without an outside address.
    Raises:
        SinkError: aiohttp is missing, an address cannot be listened at, or a certificate not used.
    """

    def __init__(
        self,
        name: str,
        address: WebAddress,
        make: Callable[[Mapping[str, NewestJpeg], str], web.Application],
        views: Sequence[str] = ("output",),
    ) -> None:
        try:
            importlib.import_module("aiohttp.web")
        except ImportError as error:
            step = install_command("web")
            raise SinkError(f"{name} needs aiohttp ({error}): `{step}`") from None
        self._views = {view: NewestJpeg(keep=view == views[0]) for view in views}
        token = access_token(name)

        async def end_views(_: web.Application) -> None:
            for newest in self._views.values():
                newest.close()

        def make_app() -> web.Application:
            app = make(self._views, token)
            app.on_shutdown.append(end_views)
            return app

        outside = address.outside
        try:
            self._thread = AppThread(
                make_app,
                address.host,
                address.port,
                None if outside is None else (outside.host, outside.context()),
            )
        except (OSError, TimeoutError) as error:
            raise SinkError(
                f"port {address.port} of {address.host} cannot be served: {error}. Choose another, "
                f"as in {address.hint}"
            ) from error
        self.port = self._thread.port
        query = f":{self.port}/?token={token}"
        self.url = f"http://{_in_url(address.host)}{query}"
        self.outside_url = None if outside is None else f"https://{_in_url(outside.host)}{query}"
        page = RunningPage(self.url, os.getpid(), time.time(), self.outside_url or "")
        self._announcement = Announcement(page) if address.announced else None

    def watched(self, view: str = "output") -> bool:
        """Return whether any client is watching."""
        return self._views[view].watchers > 0

    def wanted(self, view: str) -> bool:
        """Return whether any client is connected."""
        return self._views[view].clients > 0

    def offer(self, image: Image, view: str = "output") -> None:
        """Replace the image without waiting; for a view without clients, only check the server.

        Raises:
            SinkError: the server has ended.
        """
        newest = self._views[view]
        if newest.keep or newest.clients:
            newest.offer(image)
        try:
            self._thread.call(newest.wake)
        except RuntimeError as error:
            raise SinkError(f"the web server has ended ({error}): start again") from error

    def close(self) -> None:
        if self._announcement is not None:
            self._announcement.close()
        self._thread.close()


def _in_url(host: str) -> str:
    """Return a host for use in a URL; the loopback address if it means all of this machine's."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host
