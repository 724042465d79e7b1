"""Live video to another program or machine: MPEG-TS over UDP."""

from __future__ import annotations

import logging
import threading
import time

from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.mailbox import Mailbox
from vidbg.sinks.addresses import is_stream, public_name
from vidbg.sinks.h264_stream import H264Stream
from vidbg.sinks.live import LiveSink

_log = logging.getLogger(__name__)

CONNECT_S = 10.0
"""How long opening may take, in seconds."""

STALL_S = 10.0
"""A connection that takes nothing for so many seconds is broken."""

PATIENCE_S = 3.0
"""How long closing waits for the last packets, in seconds."""


class NetworkStreamSink(LiveSink):
    """Streams frames as H.264 in MPEG-TS over UDP, whether anybody receives or not. No sound.

    A thread encodes and sends the newest frame, so that write() never waits; frames that came
    while it was busy are dropped and counted. Messages name host and port alone: the rest of a URL
    may hold a stream key.

    Args:
        info: of the frames.
        url: `udp://host:port`, with FFmpeg's options behind a `?`.
    Raises:
        ConfigError: the URL is not like that.
        SinkError: nothing answers within CONNECT_S; or, while writing, the connection broke or
            took nothing for STALL_S.
    """

    def __init__(self, info: StreamInfo, url: str) -> None:
        if not is_stream(url):
            raise ConfigError(f"{url} is no URL; allowed is udp://HOST:PORT")
        self._address = public_name(url)
        super().__init__(f"the stream to {self._address}", info.width, info.height)
        self._newest: Mailbox[Frame] = Mailbox(1, newest=True)
        self._failure: Exception | None = None
        self._reported = False
        self._busy_since = time.monotonic()
        self._busy = True
        self._answered = threading.Event()
        self._thread = threading.Thread(
            target=self._run,
            args=(_with_packet_size(url), info),
            name="vidbg-network-stream",
            daemon=True,
        )
        self._thread.start()
        self._connect()

    @property
    def dropped(self) -> int:
        """Frames left out because the network or the encoder was slower than they came."""
        return self._newest.dropped

    def _connect(self) -> None:
        answered = self._answered.wait(CONNECT_S)
        if answered and self._failure is None:
            _log.info("streaming to %s", self._address)
            return
        self._open = False
        self._newest.close()
        if self._failure is None:
            self._failure = TimeoutError(f"no answer within {CONNECT_S:g} s")
        raise self._error("cannot be opened") from self._failure

    def _run(self, url: str, info: StreamInfo) -> None:
        try:
            with H264Stream(url, info) as stream:
                self._busy = False
                self._answered.set()
                for frame in self._newest:
                    self._busy_since, self._busy = time.monotonic(), True
                    stream.send(frame)
                    self._busy = False
                stream.finish()
        except Exception as error:  # raised in the writer's thread
            self._failure = error
        finally:
            self._answered.set()

    def _show(self, frame: Frame) -> None:
        if self._failure is None and self._busy and self._stalled_s() > STALL_S:
            self._failure = TimeoutError(f"it took nothing for {STALL_S:g} s")
        if self._failure is not None:
            raise self._error("broke") from self._failure
        self._newest.put(frame)

    def _stalled_s(self) -> float:
        return time.monotonic() - self._busy_since

    def _release(self) -> None:
        self._newest.close()
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            _log.info("the connection to %s hangs and is left behind", self._address)
        elif self._failure is not None and not self._reported:
            _log.warning("the stream to %s did not end well: %s", self._address, self._failure)
        if self.dropped:
            _log.info("%d frames were not streamed to %s", self.dropped, self._address)

    def _error(self, what: str) -> SinkError:
        self._reported = True
        reason = getattr(self._failure, "strerror", None) or str(self._failure)
        return SinkError(
            f"the stream to {self._address} {what}: {reason}. Check the host, the port and that "
            "the network is up, then start again"
        )


def _with_packet_size(url: str) -> str:
    """Packets of seven MPEG-TS packets, which fit a network's frames and every reader."""
    if "pkt_size=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}pkt_size=1316"
