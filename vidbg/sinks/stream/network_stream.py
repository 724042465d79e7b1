"""Live video to another program or machine: MPEG-TS over UDP."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from av.codec import Codec

from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.encoding.h264_stream import H264Stream
from vidbg.sinks.newest_frame_sink import PATIENCE_S, STALL_S, NewestFrameSink
from vidbg.sinks.stream.addresses import stream_url
from vidbg.util.urls import public_name

_log = logging.getLogger(__name__)

CONNECT_S = 10.0
"""How long opening may take, in seconds."""


def stream_problem() -> str | None:
    """Return why a stream cannot be encoded here, with the next step; None if it can."""
    try:
        Codec("libx264", "w")
    except ValueError:
        return "PyAV has no libx264: `pip install --force-reinstall --only-binary=av av`"
    return None


class NetworkStreamSink(NewestFrameSink):
    """An H.264 stream in MPEG-TS over UDP, sent with or without a receiver. No audio.

    Messages name only host and port.

    Args:
        info: of the frames.
        url: `udp://host:port`, with FFmpeg's options behind a `?`.
    Raises:
        ConfigError: the URL does not have this form.
        SinkError: it cannot be opened within CONNECT_S; or, while writing, the network failed or
            accepted no data for STALL_S.
    """

    def __init__(self, info: StreamInfo, url: str) -> None:
        self._address = public_name(stream_url(url))
        super().__init__(f"the stream to {self._address}", info, stall_s=STALL_S)
        if "pkt_size=" not in url:  # seven MPEG-TS packets suit network frames and every reader
            url += f"{'&' if '?' in url else '?'}pkt_size=1316"
        self._url, self._info = url, info
        self._answered = threading.Event()
        self._reported = False
        self._thread.start()
        answered = self._answered.wait(CONNECT_S)
        if answered and self._failure is None:
            _log.info("streaming to %s", self._address)
            return
        self._open = False
        self._newest.close()
        if self._failure is None:
            self._failure = TimeoutError(f"no answer within {CONNECT_S:g} s")
        raise self.failure_error("cannot be opened") from self._failure

    def _deliver_until_end(self) -> None:
        super()._deliver_until_end()
        self._answered.set()  # even if it failed

    def deliver_frames(self, frames: Iterator[Frame]) -> None:
        host = urlsplit(self._url)
        socket.getaddrinfo(host.hostname, host.port)  # FFmpeg calls a wrong name an I/O error
        with H264Stream(self._url, self._info) as stream:
            self._answered.set()
            for frame in frames:
                stream.send(frame)
            stream.finish()

    def release(self) -> None:
        self._newest.close()
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            _log.info("the connection to %s hangs and is abandoned", self._address)
        elif self._failure is not None and not self._reported:
            _log.warning("the stream to %s ended with an error: %s", self._address, self._failure)
        if self.dropped:
            _log.info("%d frames were not streamed to %s", self.dropped, self._address)

    def failure_error(self, what: str) -> SinkError:
        self._reported = True
        reason = getattr(self._failure, "strerror", None) or str(self._failure)
        return SinkError(
            f"the stream to {self._address} {what}: {reason}. Check the host, the port and "
            "the network connection"
        )
