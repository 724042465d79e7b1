"""What one output shows: the composited frame that is due, the last one again, or the fallback."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from statistics import median

from vidbg.compositing.scaling import letterbox
from vidbg.frame import Frame, Image, StreamInfo
from vidbg.pipeline.live.live_frames import Arrived
from vidbg.pipeline.live.outputs.frame_queue import Due, FrameQueue

HOLD_S = 2.5
"""How much longer than usual the next composited frame may take before the fallback image is shown.
The last frame is held until then: it shows no more of the room than before, and without it the
person would flicker on a busy machine. This covers two seconds of trouble and the recovery."""

MAX_INTERVAL_S = 3.0
"""A longer interval between composited frames is an outage and does not count as usual."""

MAX_STALL_S = 0.5
"""Maximum lateness counted for a tick: a process that was stopped or starved wrote nothing in the
meantime, and that does not make its frame old."""


@dataclass(frozen=True, slots=True)
class LastOutput:
    """A frame that was written.

    Attributes:
        frame: as it was written.
        live: whether it shows the person, not the fallback image.
        at_s: when it was written, in monotonic seconds.
    """

    frame: Frame
    live: bool
    at_s: float = 0.0


class FrameBuffer:
    """Frames of one output: they come from any thread, and its writer chooses one at each tick.

    Args:
        fallback: image shown when there is no fresh frame.
        period_s: between two frames, in seconds.

    Attributes:
        period_s: the current one.
        is_idle: whether there are no viewers.
        woken: set when the writer must not wait for its next tick.
        delivered: set while a composited frame waits to be written.
    """

    def __init__(self, fallback: Image, period_s: float) -> None:
        self._lock = threading.Lock()
        self.period_s, self.is_idle, self._resized = period_s, False, False
        self.woken, self.delivered = threading.Event(), threading.Event()
        # The frames: those that wait, the one that was written last, and what stands in for them
        self._queue = FrameQueue(period_s)
        self._held: Arrived | None = None
        self._fallback = fallback
        # How old the newest is, and how far apart they usually come
        self._age_s, self._aged_s = 0.0, time.monotonic()
        self._delivered_s: float | None = None
        self._intervals_s: deque[float] = deque(maxlen=60)
        # The times and numbers of what is written
        self._epoch, self._index = time.monotonic(), 0

    def deliver(self, composited: Arrived) -> None:
        """Take a composited frame."""
        now = time.monotonic()
        with self._lock:
            if self.is_idle:
                return
            if self._delivered_s is not None:
                self._intervals_s.append(min(now - self._delivered_s, MAX_INTERVAL_S))
            self._delivered_s = now
            self._age_s, self._aged_s = 0.0, now
            self._queue.put(composited, now)
        self.delivered.set()

    def replace_fallback(self, image: Image, *, keep: bool) -> None:
        """Replace the fallback image.

        Args:
            keep: whether an earlier frame may still be held; otherwise it is no longer shown.
        """
        with self._lock:
            self._fallback = image
            if not keep:
                self._forget_frames()
                self.woken.set()

    def resize(self, fallback: Image, info: StreamInfo) -> None:
        """Take frames of another size and rate.

        Until the first new frame the last one is shown, between bars where the shape differs.

        Args:
            fallback: of that size.
        """
        with self._lock:
            self._fallback, self._resized = fallback, True
            self.period_s = 1 / float(info.frame_rate or 30)
            self._queue = FrameQueue(self.period_s)
            if self._held is not None:
                frame = self._held.frame
                image = letterbox(frame.image, info.height, info.width)
                self._held = replace(self._held, frame=replace(frame, image=image))

    def idle(self, idle: bool) -> None:
        """Switch between only the fallback image and normal output."""
        with self._lock:
            self.is_idle = idle
            self._forget_frames()
        self.woken.set()

    @property
    def caught_up(self) -> bool:
        """Whether every frame has been chosen."""
        return self._queue.empty

    # --- for the writer ---

    def wake(self) -> None:
        """End the writer's waits, for good."""
        self.woken.set()
        self.delivered.set()

    def take_resize(self) -> bool:
        """Return whether frames have another size or rate since the last call."""
        with self._lock:
            resized, self._resized = self._resized, False
        return resized

    def choose(self) -> tuple[LastOutput, Due | None] | None:
        """Choose the frame to write: a new one, the last one again, or the fallback.

        Returns:
            the frame, and when it was due if it is new; None if it does not fit the sink any more.
        """
        now = time.monotonic()
        with self._lock:
            if self._resized:
                return None
            due = self._queue.take(now)
            self._held = newest = self._held if due is None else due.arrived
            # Is the newest so old that it stands for an outage?
            self._age_s += min(now - self._aged_s, self.period_s + MAX_STALL_S)
            self._aged_s = now
            usual_s = median(self._intervals_s) if self._intervals_s else 0.0
            hold_s = HOLD_S + max(usual_s, self.period_s)
            if newest is not None and self._age_s > hold_s:
                newest = None
            image = self._fallback if newest is None else newest.frame.image
            if self._queue.empty:
                self.delivered.clear()
        frame = Frame(image, now - self._epoch, self._index)
        self._index += 1
        return LastOutput(frame, newest is not None, now), None if newest is None else due

    def _forget_frames(self) -> None:
        """Hold no frame any more, and write none that waits. Call this with the lock."""
        self._queue.clear()
        self._held, self._delivered_s = None, None
