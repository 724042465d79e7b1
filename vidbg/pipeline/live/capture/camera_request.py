"""A camera that was asked for, and its opening beside the one in use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np

from vidbg.errors import SourceError
from vidbg.frame import Frame
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.pipeline.live.threads.replaceable_thread import Deadline
from vidbg.sources import Source

MAX_SLOW = 3
"""Cameras that may be slow to open at once, as the call of a broken one may never return."""

OPEN_PATIENCE_S = 15.0
"""OpenCV waits ten seconds for a camera's first frame."""

SLOW = 0.2
"""A camera is slow to open after this share of OPEN_PATIENCE_S."""


@dataclass(frozen=True, slots=True, eq=False)
class CameraRequest:
    """A camera to read.

    Attributes:
        open: opens it, and reopens it after each failure.
        name: for messages, without secrets.
        device: what can be open only once; None for files, streams and the like.
        settings: the run's settings that ask for it.
    """

    open: Callable[[], Source]
    name: str = ""
    device: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OpenedCamera:
    """An open camera that has given its first frame."""

    request: CameraRequest
    source: Source
    frames: Iterator[Frame]
    first: Frame


class CameraReader(Protocol):
    """Reads a camera while the next one opens; called in the thread that opens it."""

    def take_over(self, opened: OpenedCamera) -> bool:
        """Read a camera that has given a frame; return False to have it closed."""
        ...

    def refuse(self, camera: CameraRequest, error: Exception) -> None:
        """Take note that a camera cannot be read."""
        ...


class NextCamera:
    """Opens one camera beside the one in use; only the last that was asked for counts.

    Not thread-safe: the caller has a lock around every call but `close`.

    Args:
        reader: takes the camera over, or keeps the one in use.
    """

    def __init__(self, reader: CameraReader) -> None:
        self._reader = reader
        self._request: CameraRequest | None = None
        self._deadline = Deadline()
        self._opening: deque[Deadline] = deque(maxlen=100)  # a deadline that is over counts no more
        self._tasks = BackgroundTasks()

    def open(self, request: CameraRequest) -> None:
        """Begin to open a camera. Returns at once."""
        self._request, self._deadline = request, Deadline()
        self._opening.append(self._deadline)
        work = partial(self._open_in_background, request, self._deadline)
        self._tasks.start("camera-switch", work)

    def finish(self, request: CameraRequest) -> bool:
        """Return whether this camera is still the one that is waited for; it no longer is."""
        if self._request is not request:
            return False
        self._request = None
        return True

    def cancel(self) -> CameraRequest | None:
        """Wait for no camera any more; return the one that was waited for."""
        request, self._request = self._request, None
        return request

    def overdue(self) -> CameraRequest | None:
        """Return the camera that takes too long to open, if there is one."""
        return None if self._deadline.overdue_s() is None else self._request

    @property
    def full(self) -> bool:
        """Whether too many cameras do not answer to open one more."""
        slow = [each for each in self._opening if each.running_s > SLOW * OPEN_PATIENCE_S]
        return len(slow) >= MAX_SLOW

    def close(self, patience_s: float) -> None:
        self._tasks.close(patience_s)

    def _open_in_background(self, request: CameraRequest, deadline: Deadline) -> None:
        source = None
        try:
            with deadline.over(OPEN_PATIENCE_S):
                source = request.open()
                frames = iter(source)
                first = next(frames, None)
            if first is None:
                raise SourceError("it gives no picture")
            require_picture(first)
        except Exception as error:
            if source is not None:
                source.close()
            self._reader.refuse(request, error)
            return
        if not self._reader.take_over(OpenedCamera(request, source, frames, first)):
            source.close()


def require_picture(frame: Frame) -> None:
    """Refuse what is no image.

    Raises:
        SourceError: it is not uint8 (H, W, 3), or empty.
    """
    image = frame.image
    if getattr(image, "dtype", None) != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        kind = f"{getattr(image, 'dtype', type(image).__name__)} {getattr(image, 'shape', '')}"
        raise SourceError(f"the camera gave {kind.strip()}, not a uint8 picture (H, W, 3)")
    if not image.size:
        raise SourceError(f"the camera gave an empty picture, {image.shape}")
