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
from vidbg.pipeline.live.faults import Faults
from vidbg.pipeline.live.outputs.pacing import Backoff
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.pipeline.live.threads.replaceable_thread import Deadline, ReplaceableThread
from vidbg.sources import Source

logger = logging.getLogger(__name__)

READ_PATIENCE_S, PATIENT_INTERVALS = 3.0, 3.0
"""A camera hangs if a frame takes longer than both this time and this many of its intervals."""

OPEN_PATIENCE_S = 15.0
"""OpenCV waits ten seconds for a camera's first frame."""

MOST_HANGING = 3

PART = "camera"


class Reader:
    """Keeps a source open and delivers its frames with ever-increasing times and numbers.

    Args:
        open_source: opens the source, and reopens it after each failure.
        deliver: receives each frame; its pts is in seconds since the reader was made.
        faults: receives failures and recoveries.
        fail: ends the run with a permanent error.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        deliver: Callable[[Frame], None],
        faults: Faults,
        fail: Callable[[BaseException], None],
    ) -> None:
        self._open_source, self._deliver = open_source, deliver
        self._faults, self._fail = faults, fail
        self._turns = ReplaceableThread(PART, self._run, MOST_HANGING)
        self._watch = Deadline()
        self._backoff = Backoff()
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._source: Source | None = None
        self._closers = BackgroundTasks()
        self._lock = threading.Lock()
        self._epoch = time.monotonic()
        self._index = 0
        self._last_pts = 0.0
        self.ended = threading.Event()
        """Set when a source that is not live has delivered its last frame."""

    def start(self) -> None:
        self._turns.start()

    @property
    def active(self) -> bool:
        """Whether the source is in use: not between pause() and resume()."""
        return self._wanted.is_set()

    def resume(self) -> None:
        """Open the source and read it."""
        self._wanted.set()

    def pause(self) -> None:
        """Close the source until resume()."""
        self._wanted.clear()
        self._faults.cleared(PART)
        self._let_go()

    def check(self) -> None:
        """Replace a thread that hangs. Call this a few times a second."""
        if self._stopping.is_set():
            return
        taken_s = self._watch.overdue_s()
        if taken_s is None:
            self._turns.revive()
            return
        self._watch = Deadline()  # the abandoned thread keeps the old one
        self._faults.raised(PART, f"frozen: no picture for {taken_s:.0f} s; it is opened again")
        self._let_go()
        if not self._turns.replace():
            logger.warning("the camera hung %d times; waiting for its driver", MOST_HANGING + 1)

    def stop(self, patience_s: float) -> None:
        self._stopping.set()
        self._wanted.set()
        self._let_go()
        self._turns.end(patience_s)
        self._closers.close(patience_s)

    def _run(self, turn: int) -> None:
        while self._going(turn):
            self._wanted.wait()
            if not self._going(turn):
                return
            try:
                self._read(turn)
            except ConfigError as error:
                self._fail(error)
                return
            except Exception as error:
                if self._going(turn) and self.active:
                    self._failed(error)

    def _going(self, turn: int) -> bool:
        return self._turns.current(turn) and not (self._stopping.is_set() or self.ended.is_set())

    def _failed(self, error: BaseException) -> None:
        self._faults.raised(PART, error)
        self._stopping.wait(self._backoff.next_s())

    def _read(self, turn: int) -> None:
        with self._watch.over(OPEN_PATIENCE_S):
            source = self._open_source()
        if not self._take(source, turn):
            source.close()
            return
        try:
            self._read_on(source, turn)
        finally:  # a device still open after a failure cannot be reopened
            source.close()

    def _read_on(self, source: Source, turn: int) -> None:
        frames, offset = iter(source), None
        interval_s = 1 / float(source.info.frame_rate or 30)
        patience_s = max(READ_PATIENCE_S, PATIENT_INTERVALS * interval_s)
        while self._going(turn) and self.active:
            with self._watch.over(patience_s):
                frame = next(frames, None)
            if not self._turns.current(turn):
                return
            if frame is None:
                self._ended(source)
                return
            _require_picture(frame)
            if offset is None:
                offset = time.monotonic() - self._epoch - frame.pts
            self._hand_on(frame, offset)

    def _take(self, source: Source, turn: int) -> bool:
        """Store the opened source so that others can close it. False if it is no longer needed."""
        with self._lock:
            wanted = self._going(turn) and self.active
            if wanted:
                self._source = source
            return wanted

    def _hand_on(self, frame: Frame, offset: float) -> None:
        pts = max(frame.pts + offset, self._last_pts + 1e-4)
        self._last_pts = pts
        self._deliver(replace(frame, pts=pts, index=self._index))
        self._index += 1
        self._backoff.worked()
        self._faults.cleared(PART)

    def _ended(self, source: Source) -> None:
        if not self.active or self._stopping.is_set():
            return
        if source.info.live and source.info.frame_count is None:
            raise SourceError("the camera gives no more pictures; it is opened again")
        self.ended.set()

    def _let_go(self) -> None:
        """Close the source in a separate thread, as closing may hang along with reading."""
        with self._lock:
            source, self._source = self._source, None
        if source is not None:
            self._closers.start("close", source.close)


def _require_picture(frame: Frame) -> None:
    image = frame.image
    if getattr(image, "dtype", None) != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        kind = f"{getattr(image, 'dtype', type(image).__name__)} {getattr(image, 'shape', '')}"
        raise SourceError(f"the camera gave {kind.strip()}, not a uint8 picture (H, W, 3)")
    if not image.size:
        raise SourceError(f"the camera gave an empty picture, {image.shape}")
