"""Frames for browsers and OBS browser sources: a page, MJPEG and a WebSocket over HTTP."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future

from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.live import LiveSink

_log = logging.getLogger(__name__)

_START_S, _STOP_S = 10.0, 5.0


class WebSink(LiveSink):
    """Serves the newest frame to any number of clients; a slow one misses frames.

    A thread of its own serves; write() never waits, and nothing is encoded while nobody watches.

    Args:
        info: of the frames.
        host: name or address to listen at; other than this machine's own, it is warned of.
        port: 0 takes any that is free.
    Attributes:
        port: where it listens.
    Raises:
        SinkError: aiohttp is missing, or the address cannot be listened at.
    """

    def __init__(self, info: StreamInfo, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__("the web output", info.width, info.height)
        try:
            from vidbg.sinks.web_server import NewestJpeg
        except ImportError as error:
            raise SinkError(
                f"the web output needs aiohttp ({error}): pip install 'vidbg[web]'"
            ) from None
        self._newest = NewestJpeg()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        started: Future[int] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(host, port, started), name="vidbg-web", daemon=True
        )
        self._thread.start()
        self.port = self._await(started, host, port)
        if host not in ("localhost", "127.0.0.1", "::1"):
            _log.warning("whoever reaches %s port %d can watch the picture", host, self.port)

    def _await(self, started: Future[int], host: str, port: int) -> int:
        try:
            return started.result(_START_S)
        except (OSError, TimeoutError) as error:
            self._open = False
            raise SinkError(
                f"port {port} of {host} cannot be served: {error}. Choose another, as in web:8091"
            ) from error

    def _run(self, host: str, port: int, started: Future[int]) -> None:
        try:
            self._loop.run_until_complete(self._serve(host, port, started))
        except Exception as error:  # raised in the caller of the constructor
            if not started.done():
                started.set_exception(error)
        finally:
            self._loop.close()

    async def _serve(self, host: str, port: int, started: Future[int]) -> None:
        from aiohttp import web

        from vidbg.sinks.web_server import application

        runner = web.AppRunner(application(self._newest, host), shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            started.set_result(int(runner.addresses[0][1]))
            await self._stop.wait()
        finally:
            self._newest.close()
            await runner.cleanup()

    def watched(self) -> bool | None:
        """Whether any client is being served: by MJPEG, or the page by its WebSocket."""
        return self._newest.watchers > 0

    def _show(self, frame: Frame) -> None:
        self._newest.offer(frame.image)
        try:
            self._loop.call_soon_threadsafe(self._newest.wake)
        except RuntimeError as error:
            raise SinkError(f"the web server has ended ({error}): start again") from error

    def _release(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_S)
