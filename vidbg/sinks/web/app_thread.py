"""A thread that serves an aiohttp application."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING

from vidbg.util.lifecycle import Closeable

if TYPE_CHECKING:
    from ssl import SSLContext

    from aiohttp import web

_START_S, _STOP_S = 10.0, 5.0
_IDLE_S = 10.0  # a connection without a complete request for this long is closed
_LINGER_S = 2.0  # how long an answered client may take to send the rest of its request


class AppThread(Closeable):
    """A thread that serves an aiohttp application until it is closed.

    Args:
        make: makes the application; called by the thread.
        host: name or address to listen at.
        port: 0 takes any that is free.
        outside: another host to listen at, with TLS and at the same port.
    Attributes:
        port: where it listens.
    Raises:
        OSError, TimeoutError: an address cannot be listened at.
    """

    def __init__(
        self,
        make: Callable[[], web.Application],
        host: str,
        port: int,
        outside: tuple[str, SSLContext] | None = None,
    ) -> None:
        self._make = make
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started: Future[int] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(host, port, outside), name="vidbg-web", daemon=True
        )
        self._thread.start()
        self.port = self._started.result(_START_S)

    def call(self, function: Callable[[], None]) -> None:
        """Have the thread call a function soon.

        Raises:
            RuntimeError: the thread has ended.
        """
        self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        with suppress(RuntimeError):  # it has ended by itself
            self.call(self._stop.set)
        self._thread.join(_STOP_S)

    def _run(self, host: str, port: int, outside: tuple[str, SSLContext] | None) -> None:
        try:
            self._loop.run_until_complete(self._serve(host, port, outside))
        except Exception as error:  # raised in the caller of the constructor
            if not self._started.done():
                self._started.set_exception(error)
        finally:
            self._loop.close()

    async def _serve(self, host: str, port: int, outside: tuple[str, SSLContext] | None) -> None:
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
            if outside is not None:
                outside_host, context = outside
                await web.TCPSite(runner, outside_host, port, ssl_context=context).start()
            self._started.set_result(port)
            await self._stop.wait()
        finally:
            await runner.cleanup()


def _quiet_logger() -> logging.Logger:
    """Return a logger for the server that leaves out its clients' errors."""
    from aiohttp.http_exceptions import HttpProcessingError
    from aiohttp.web import RequestPayloadError

    theirs = HttpProcessingError, RequestPayloadError, ConnectionError

    def is_ours(record: logging.LogRecord) -> bool:
        return record.exc_info is None or not isinstance(record.exc_info[1], theirs)

    logger = logging.getLogger(f"{__name__}.requests")
    if not logger.filters:
        logger.addFilter(is_ours)
    return logger
