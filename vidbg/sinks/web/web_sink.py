"""The web output for browsers and OBS: a page, MJPEG and a WebSocket over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.live_sink import LiveSink
from vidbg.sinks.web.web_service import WebAddress, WebService

if TYPE_CHECKING:
    from aiohttp.web import Application

    from vidbg.sinks.web.newest_jpeg import NewestJpeg

_log = logging.getLogger(__name__)


class WebSink(LiveSink):
    """A sink that serves the newest frame to any number of clients; slow ones miss frames.

    It serves in its own thread: write() never waits. Nothing is encoded without viewers.

    Args:
        info: of the frames.
        host: name or address to listen at; logs a warning unless it is this machine's own.
        port: 0 takes any that is free.
    Attributes:
        port: where it listens.
        url: the page's address, with the token that opens it.
    Raises:
        SinkError: aiohttp is missing, or the address cannot be listened at.
    """

    def __init__(self, info: StreamInfo, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__("the web output", info.width, info.height)

        def make(views: Mapping[str, NewestJpeg], token: str) -> Application:
            from vidbg.sinks.web.web_server import application

            return application(views["output"], host, token)

        address = WebAddress(host, port, hint="web:8091")
        self._service = WebService(self._name, address, make)
        self.port, self.url = self._service.port, self._service.url
        if host not in ("localhost", "127.0.0.1", "::1"):
            _log.warning(
                "anyone who can reach %s port %d and knows the token can watch; the video is not "
                "encrypted",
                host,
                self.port,
            )

    def adapt(self, info: StreamInfo) -> None:
        """Take frames of another size: its viewers stay connected."""
        self._shape = (info.height, info.width, 3)

    def watched(self) -> bool | None:
        """Return whether any client has taken frames for half a second, by MJPEG or WebSocket."""
        return self._service.watched()

    def show_frame(self, frame: Frame) -> None:
        self._service.offer(frame.image)

    def release(self) -> None:
        self._service.close()
