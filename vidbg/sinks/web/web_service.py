"""An aiohttp application that serves the newest image and more in its own thread."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

from vidbg.errors import SinkError
from vidbg.frame import Image
from vidbg.platform.installation import install_command
from vidbg.sinks.web.outside_address import OutsideAddress
from vidbg.sinks.web.running_pages import Announcement, RunningPage
from vidbg.sinks.web.web_token import access_token
from vidbg.util.lifecycle import Closeable

if TYPE_CHECKING:
    from ssl import SSLContext

    from aiohttp import web

    from vidbg.sinks.web.newest_jpeg import NewestJpeg

_START_S, _STOP_S = 10.0, 5.0
_IDLE_S = 10.0  # a connection without a whole request for so long is closed
_LINGER_S = 2.0  # that an answered client may take to send the rest of what it announced

Encrypted = tuple[str, "SSLContext"] | None
"""An address that is served with TLS."""


def web_problem() -> str | None:
    """Return why no page can be served here, with the next step; None if it can."""
    installed = importlib.util.find_spec("aiohttp") is not None
    return None if installed else f"aiohttp is not installed: `{install_command('web')}`"


class WebService(Closeable):
    """An HTTP service that runs until it is closed; slow clients miss images.

    Args:
        name: in messages ("the web output").
        make: makes the application around the newest frame of each view, for who knows the token;
            called by the thread that serves.
        host: name or address to listen at.
        port: 0 takes any that is free.
        hint: how another port is chosen, for the message.
        views: names of what it shows; of all but the first, no frame is kept without clients.
        announced: let this account's other programs find it, see `running_pages`.
        outside: where other devices reach it too, at the same port.
    Attributes:
        port: where it listens.
        url: the page's address, with the token that opens it: a secret.
        outside_url: that for other devices; None without `outside`.
    Raises:
        SinkError: aiohttp is missing, an address cannot be listened at, or a certificate not used.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[Mapping[str, NewestJpeg], str], web.Application],
        host: str,
        port: int,
        hint: str,
        *,
        views: Sequence[str] = ("output",),
        announced: bool = False,
        outside: OutsideAddress | None = None,
    ) -> None:
        try:
            from vidbg.sinks.web.newest_jpeg import NewestJpeg
        except ImportError as error:
            step = install_command("web")
            raise SinkError(f"{name} needs aiohttp ({error}): `{step}`") from None
        self._views = {view: NewestJpeg(keep=view == views[0]) for view in views}
        token = access_token(name)
        self._make: Callable[[], web.Application] = lambda: make(self._views, token)
        encrypted = None if outside is None else (outside.host, outside.context())

        # The server's thread; what fails while it opens the port is raised here
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        started: Future[int] = Future()
        self._thread = threading.Thread(
            target=self._serve_until_closed,
            args=(host, port, encrypted, started),
            name="vidbg-web",
            daemon=True,
        )
        self._thread.start()
        try:
            self.port = started.result(_START_S)
        except (OSError, TimeoutError) as error:
            raise SinkError(
                f"port {port} of {host} cannot be served: {error}. Choose another, as in {hint}"
            ) from error

        # Addresses, known only now: port 0 takes any that is free
        self.url = f"http://{_reachable(host)}:{self.port}/?token={token}"
        self.outside_url = (
            None
            if outside is None
            else f"https://{_reachable(outside.host)}:{self.port}/?token={token}"
        )
        page = RunningPage(self.url, os.getpid(), time.time(), self.outside_url or "")
        self._announcement = Announcement(page) if announced else None

    def watched(self, view: str = "output") -> bool:
        """Return whether any client is watching."""
        return self._views[view].watchers > 0

    def wanted(self, view: str) -> bool:
        """Return whether any client is connected."""
        return self._views[view].clients > 0

    def offer(self, image: Image, view: str = "output") -> None:
        """Replace the image without waiting; of a view that nobody wants, only check the server.

        Raises:
            SinkError: the server has ended.
        """
        newest = self._views[view]
        if newest.keep or newest.clients:
            newest.offer(image)
        try:
            self._loop.call_soon_threadsafe(newest.wake)
        except RuntimeError as error:
            raise SinkError(f"the web server has ended ({error}): start again") from error

    def close(self) -> None:
        if self._announcement is not None:
            self._announcement.close()
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_S)

    def _serve_until_closed(
        self, host: str, port: int, encrypted: Encrypted, started: Future[int]
    ) -> None:
        try:
            self._loop.run_until_complete(self._serve(host, port, encrypted, started))
        except Exception as error:  # raised in the caller of the constructor
            if not started.done():
                started.set_exception(error)
        finally:
            self._loop.close()

    async def _serve(
        self, host: str, port: int, encrypted: Encrypted, started: Future[int]
    ) -> None:
        from aiohttp import web

        runner = web.AppRunner(
            self._make(),
            shutdown_timeout=1.0,
            keepalive_timeout=_IDLE_S,
            lingering_time=_LINGER_S,
            auto_decompress=False,  # no page compresses what it sends
            access_log=None,  # addresses hold the token
            logger=_quiet_logger(),
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            port = int(runner.addresses[0][1])
            if encrypted is not None:
                outside, context = encrypted
                await web.TCPSite(runner, outside, port, ssl_context=context).start()
            started.set_result(port)
            await self._stop.wait()
        finally:
            for newest in self._views.values():
                newest.close()
            await runner.cleanup()


def _reachable(host: str) -> str:
    """Return a host for use in a URL; the loopback address if it means all of this machine's."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _quiet_logger() -> logging.Logger:
    """Return a silent logger for the server: clients' errors are not this program's."""
    from aiohttp.http_exceptions import HttpProcessingError
    from aiohttp.web import RequestPayloadError

    theirs = HttpProcessingError, RequestPayloadError, ConnectionError

    def is_ours(record: logging.LogRecord) -> bool:
        return record.exc_info is None or not isinstance(record.exc_info[1], theirs)

    logger = logging.getLogger(f"{__name__}.requests")
    if not logger.filters:
        logger.addFilter(is_ours)
    return logger
