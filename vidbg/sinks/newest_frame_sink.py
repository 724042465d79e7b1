"""Base class of sinks that deliver the newest frame in their own thread."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Iterator

from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.live_sink import LiveSink
from vidbg.util.mailbox import Mailbox

STALL_S = 10.0
"""A receiver that accepts no frame for this many seconds is treated as broken."""

PATIENCE_S = 3.0
"""How long closing waits for the last frame, in seconds."""


class NewestFrameSink(LiveSink):
    """A sink whose own thread delivers the newest frame, so that write() never waits.

    Frames that arrive while it is busy are dropped and counted. Subclasses implement
    deliver_frames(), failure_error() and release(), and start `_thread` once they are ready.

    Args:
        name: of this sink in messages, and of its thread.
        info: of the frames.
        stall_s: taking longer than this, in seconds, for one frame is a failure; None: never.
    """

    def __init__(self, name: str, info: StreamInfo, *, stall_s: float | None) -> None:
        super().__init__(name, info.width, info.height)
        self._newest: Mailbox[Frame] = Mailbox(1, newest=True)
        self._failure: Exception | None = None
        self._stall_s = stall_s
        self._busy_since: float | None = None
        self._thread = threading.Thread(
            target=self._deliver_until_end, name=f"vidbg: {name}", daemon=True
        )

    @property
    def dropped(self) -> int:
        """The number of frames dropped because delivery was too slow."""
        return self._newest.dropped

    @abstractmethod
    def deliver_frames(self, frames: Iterator[Frame]) -> None:
        """Deliver frames until there are no more; runs in the thread."""

    @abstractmethod
    def failure_error(self, what: str) -> SinkError:
        """Return the error for the caller of write(), from `_failure`.

        Args:
            what: happened, such as "failed".
        """

    def _deliver_until_end(self) -> None:
        try:
            self.deliver_frames(self._frames())
        except Exception as error:  # raised in the writer's thread
            self._failure = error

    def _frames(self) -> Iterator[Frame]:
        """Yield the newest frames; note how long each is worked on."""
        for frame in self._newest:
            self._busy_since = time.monotonic()
            yield frame
            self._busy_since = None

    def show_frame(self, frame: Frame) -> None:
        since, stall_s = self._busy_since, self._stall_s  # once, because the thread changes it
        stalled = since is not None and stall_s is not None and time.monotonic() - since > stall_s
        if self._failure is None and stalled:
            self._failure = TimeoutError(f"it took nothing for {stall_s:g} s")
        if self._failure is not None:
            raise self.failure_error("failed") from self._failure
        self._newest.put(frame)
