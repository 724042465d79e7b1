"""Reads a camera, and opens it again whenever it fails, ends or freezes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vidbg.errors import ConfigError, SourceError
from vidbg.frame import Frame
from vidbg.pipeline.live.appearance import Arrived
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.outputs.pacing import Backoff
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.pipeline.live.threads.replaceable_thread import Deadline, ReplaceableThread
from vidbg.sources import Source

logger = logging.getLogger(__name__)

READ_PATIENCE_S, PATIENT_INTERVALS = 3.0, 3.0
"""A camera hangs if a frame takes longer than both this time and this many of its intervals."""

OPEN_PATIENCE_S = 15.0
"""OpenCV waits ten seconds for a camera's first frame."""

MAX_HANGING = 3

CLOSE_PATIENCE_S = 1.0
"""How long the next camera waits for the last one to close."""

PART = "camera"


class Reader:
    """Keeps a camera open and delivers its frames with ever-increasing times and numbers.

    Args:
        open_source: opens the camera, and reopens it after each failure.
        deliver: receives each frame; its pts is in seconds since the reader was made.
        context: of the run.

    Attributes:
        ended: set when a source that is not live has delivered its last frame.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        deliver: Callable[[Arrived], None],
        context: RunContext,
    ) -> None:
        self._open_source, self._deliver, self._context = open_source, deliver, context
        self._thread = ReplaceableThread(PART, self._read_camera, MAX_HANGING)
        self._replacing = threading.Lock()
        self._deadline = Deadline()
        self._backoff = Backoff()
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._source: Source | None = None
        self._closers = BackgroundTasks()
        self._lock = threading.Lock()
        self._epoch = time.monotonic()
        self._index, self._session = 0, 0
        self._started = self._switched = False
        self._last_pts = 0.0
        self.ended = threading.Event()

    def start(self) -> None:
        with self._replacing:
            self._started = True
            self._thread.start()

    @property
    def active(self) -> bool:
        """Whether the camera is in use: not between pause() and resume()."""
        return self._wanted.is_set()

    @property
    def mode(self) -> str | None:
        """Size, rate and format of the open camera, in words; None if it does not tell."""
        return str(getattr(self._source, "mode", "")) or None

    @property
    def silent_s(self) -> float:
        """How long the next frame has been waited for, in seconds."""
        return self._deadline.running_s

    def resume(self) -> None:
        """Open the camera and read it."""
        self._wanted.set()

    def pause(self) -> None:
        """Close the camera until resume()."""
        self._wanted.clear()
        self._context.faults.forget(PART)
        self._close_source()

    def switch(self, open_source: Callable[[], Source]) -> None:
        """Close the camera and read another from now on. Returns at once.

        Whatever is wrong with that one is a fault, and it is opened again and again.
        """
        with self._replacing:
            self._switched = True
            self._open_source, self._backoff = open_source, Backoff()
            self._context.faults.forget(PART)
            if self._started:
                self._replace_thread()

    def check(self) -> None:
        """Replace a thread that hangs. Call this a few times a second."""
        with self._replacing:
            if self._stopping.is_set():
                return
            taken_s = self._deadline.overdue_s()
            if taken_s is None:
                self._thread.revive()
                return
            words = f"frozen: no picture for {taken_s:.0f} s; it is opened again"
            self._context.faults.raised(PART, words)
            if not self._replace_thread():
                logger.warning("the camera hung %d times; waiting for its driver", MAX_HANGING + 1)

    def stop(self, patience_s: float) -> None:
        self._stopping.set()
        self._wanted.set()
        self._close_source()
        self._thread.end(patience_s)
        self._closers.close(patience_s)

    def _replace_thread(self) -> bool:
        """Leave the thread that reads now, with its camera, and start another if possible."""
        self._deadline = Deadline()  # the abandoned thread keeps the old one
        self._thread.abandon()  # first, as a camera that is closed looks like one that has ended
        self._close_source()
        return self._thread.revive()

    def _close_source(self) -> None:
        """Close the camera in a separate thread, as closing may hang along with reading."""
        with self._lock:
            source, self._source = self._source, None
        if source is not None:
            self._closers.start("close", source.close)

    def _read_camera(self, turn: int) -> None:
        """Open the camera and read it, again and again, until the run or this turn ends."""
        deadline = self._deadline
        while self._going(turn):
            self._wanted.wait()
            if not self._going(turn):
                return
            try:
                self._read_session(turn, deadline)
            except Exception as error:
                if isinstance(error, ConfigError) and not self._switched:
                    self._context.fail(error)
                    return
                if self._going(turn) and self.active:
                    self._context.faults.raised(PART, error)
                    self._stopping.wait(self._backoff.next_s())

    def _going(self, turn: int) -> bool:
        ends = self._stopping.is_set() or self.ended.is_set()
        return self._thread.current(turn) and not ends

    def _read_session(self, turn: int, deadline: Deadline) -> None:
        """Read the camera from opening to closing it.

        Raises:
            SourceError: it cannot be opened, or fails.
        """
        self._closers.wait(CLOSE_PATIENCE_S)  # most cameras can be open only once
        with deadline.over(OPEN_PATIENCE_S):
            source = self._open_source()
        with self._lock:  # so that others can close it
            wanted = self._going(turn) and self.active
            if wanted:
                self._source = source
                self._session += 1
        try:
            if wanted:
                self._read_frames(source, turn, deadline)
        finally:  # a device still open after a failure cannot be reopened
            source.close()

    def _read_frames(self, source: Source, turn: int, deadline: Deadline) -> None:
        frames, offset = iter(source), None
        interval_s = 1 / float(source.info.frame_rate or 30)
        patience_s = max(READ_PATIENCE_S, PATIENT_INTERVALS * interval_s)
        while self._going(turn) and self.active:
            with deadline.over(patience_s):
                frame = next(frames, None)
            if not self._thread.current(turn):
                return
            if frame is None:
                if not self.active or self._stopping.is_set():
                    return
                if source.info.live and source.info.frame_count is None:
                    raise SourceError("the camera gives no more pictures; it is opened again")
                self.ended.set()
                return
            _require_picture(frame)
            if offset is None:
                offset = time.monotonic() - self._epoch - frame.pts
            self._last_pts = max(frame.pts + offset, self._last_pts + 1e-4)
            numbered = replace(frame, pts=self._last_pts, index=self._index)
            self._index += 1
            self._deliver(Arrived(numbered, time.monotonic(), self._session))
            self._backoff.worked()
            self._context.faults.cleared(PART)


def _require_picture(frame: Frame) -> None:
    image = frame.image
    if getattr(image, "dtype", None) != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        kind = f"{getattr(image, 'dtype', type(image).__name__)} {getattr(image, 'shape', '')}"
        raise SourceError(f"the camera gave {kind.strip()}, not a uint8 picture (H, W, 3)")
    if not image.size:
        raise SourceError(f"the camera gave an empty picture, {image.shape}")
