"""Base class of sinks that show frames at once and have nothing to complete."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from vidbg.errors import SinkError
from vidbg.frame import Frame
from vidbg.sinks.watching import Unwatched
from vidbg.util.lifecycle import Closeable


class LiveSink(Unwatched, Closeable):
    """Base class of sinks that show opaque frames of one size as they arrive.

    write() checks the frames. Ones with alpha are refused because their image still contains the
    room that the alpha hides. close() and abort() do the same. Subclasses implement show_frame()
    and release(), which nobody else calls.

    Args:
        name: of this sink in messages ("the preview window").
        width, height: of the frames, in pixels.
    """

    def __init__(self, name: str, width: int, height: int) -> None:
        self._name = name
        self._shape = (height, width, 3)
        self._open = True

    def write(self, frame: Frame) -> None:
        if not self._open:
            raise SinkError(f"{self._name} was written to after it was closed")
        if frame.alpha is not None:
            raise SinkError(
                f"{self._name} cannot show transparent frames: choose another background, or "
                "write to a file that keeps alpha (.mov, .webm, .png)"
            )
        if frame.image.shape != self._shape or frame.image.dtype != np.uint8:
            raise SinkError(
                f"{self._name} got a frame of {frame.image.dtype} {frame.image.shape}, but takes "
                f"uint8 {self._shape} (height, width, BGR) only"
            )
        self.show_frame(frame)

    @abstractmethod
    def show_frame(self, frame: Frame) -> None:
        """Show a frame that has been checked."""

    @abstractmethod
    def release(self) -> None:
        """Free what the sink holds; called once."""

    def close(self) -> None:
        if self._open:
            self._open = False
            self.release()

    def abort(self) -> None:
        self.close()
