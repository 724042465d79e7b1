"""A sink that keeps frames in memory, for tests and for programs that need the frames."""

from __future__ import annotations

from collections import deque
from typing import Literal

from vidbg.errors import SinkError
from vidbg.frame import Frame
from vidbg.sinks.watching import Unwatched
from vidbg.util.lifecycle import Abortable


class MemorySink(Unwatched, Abortable):
    """A sink that keeps the frames written to it, of any size, with or without alpha.

    Args:
        max_frames: keep only this many of the newest frames; None keeps all.

    Attributes:
        frames: the frames kept, oldest first, not copied.
        written: the total number of frames written.
        state: "open", "closed" or "aborted".
    """

    def __init__(self, max_frames: int | None = None) -> None:
        self.frames: deque[Frame] = deque(maxlen=max_frames)
        self.written = 0
        self.state: Literal["open", "closed", "aborted"] = "open"

    def write(self, frame: Frame) -> None:
        if self.state != "open":
            raise SinkError(f"the memory sink was written to after it was {self.state}")
        self.frames.append(frame)
        self.written += 1

    def close(self) -> None:
        if self.state == "open":
            self.state = "closed"

    def abort(self) -> None:
        if self.state == "open":
            self.state = "aborted"
