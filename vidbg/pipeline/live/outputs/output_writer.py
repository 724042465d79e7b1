"""Writes to the sink at a steady rate: the newest composited frame, or a safe image."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from vidbg.errors import SinkError
from vidbg.frame import Frame, Image
from vidbg.pipeline.live.appearance import Arrived
from vidbg.pipeline.live.faults import Faults
from vidbg.pipeline.live.outputs.pacing import Backoff, Pacer
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.pipeline.live.threads.replaceable_thread import Deadline, ReplaceableThread
from vidbg.sinks import Sink
from vidbg.util.timing import KEPT, StageClock

logger = logging.getLogger(__name__)

HOLD_S = 2.5
"""How much longer than usual the next composited frame may take before the safe image is shown.
The last frame is held until then: it shows no more of the room than before, and without it the
person would flicker on a busy machine. This covers two seconds of trouble and the recovery."""

MOST_INTERVAL_S = 3.0
"""A longer interval between composited frames is an outage and does not count as usual."""

MOST_STALL_S = 0.5
"""Maximum lateness counted for a tick: a process that was stopped or starved wrote nothing in the
meantime, and that does not make its frame old."""

IDLE_PERIOD_S = 0.5
"""Interval between two frames while there are no viewers."""

GRACE = 0.5
"""How long a tick waits for a late frame, as a share of the period. Without it, a frame that
arrives just after its tick is dropped for the next one, and the previous frame is written twice."""

WRITE_PATIENCE_S, MOST_HANGING = 3.0, 3

PART = "output"


@dataclass(frozen=True, slots=True)
class LastOutput:
    """The last frame shown to viewers.

    Attributes:
        frame: as it was written.
        live: whether it shows the person, not the safe image.
    """

    frame: Frame
    live: bool


class OutputWriter:
    """Owns the sink and writes only composited frames and the safe image to it.

    Args:
        open_sink: opens the sink, first in start() and again after each failure.
        period_s: between two frames, in seconds.
        safe: image shown when there is no fresh frame.
        reopens: open the sink again when it fails or hangs; else its failure ends the run.
        faults, fail: see Stage.
        clock: of the stages.
        limit: `done` is set after this many composited frames.
    """

    def __init__(
        self,
        open_sink: Callable[[], Sink],
        period_s: float,
        safe: Image,
        faults: Faults,
        fail: Callable[[BaseException], None],
        clock: StageClock,
        *,
        reopens: bool,
        limit: int | None = None,
    ) -> None:
        self._open_sink, self._period_s, self._reopens = open_sink, period_s, reopens
        self._faults, self._fail, self._clock, self._limit = faults, fail, clock, limit
        self._lock = threading.Lock()
        self._safe = safe
        self._newest: Arrived | None = None
        self._is_new = False
        self._intervals_s: deque[float] = deque(maxlen=60)
        self._delivered_s: float | None = None
        self._age_s, self._aged_s = 0.0, time.monotonic()
        self._turns = ReplaceableThread(PART, self._run, MOST_HANGING)
        self._watch = Deadline()
        self._closers = BackgroundTasks()
        self._woken, self._given = threading.Event(), threading.Event()
        self._stopping = threading.Event()
        self._idle = False
        self._sink: Sink | None = None
        self._epoch = time.monotonic()
        self._index = 0
        self.done = threading.Event()
        self.shown: LastOutput | None = None
        self.frames, self.repeated, self.fallback_frames, self.superseded = 0, 0, 0, 0
        self.latencies_s: deque[float] = deque(maxlen=KEPT)
        self.first_s, self.last_s = 0.0, 0.0

    def start(self) -> None:
        """Open the sink and start writing.

        Raises:
            VidbgError: the sink cannot be opened.
        """
        self._sink = self._open_sink()
        self._turns.start()

    def give(self, composed: Arrived) -> None:
        """Take a composited frame."""
        now = time.monotonic()
        with self._lock:
            if self._delivered_s is not None:
                self._intervals_s.append(min(now - self._delivered_s, MOST_INTERVAL_S))
            self._delivered_s = now
            self._age_s, self._aged_s = 0.0, now
            self.superseded += self._is_new
            self._newest, self._is_new = composed, True
        self._given.set()

    def change(self, safe: Image, *, keep: bool) -> None:
        """Replace the safe image.

        Args:
            keep: whether an earlier frame may still be held; otherwise it is no longer shown.
        """
        with self._lock:
            self._safe = safe
            if not keep:
                self._newest, self._is_new = None, False

    def idle(self, idle: bool) -> None:
        """Switch between writing only the safe image, rarely, and normal output."""
        with self._lock:
            self._idle = idle
            self._newest, self._is_new, self._delivered_s = None, False, None
        self._woken.set()

    @property
    def caught_up(self) -> bool:
        """Return whether the newest frame has been written."""
        return not self._is_new

    @property
    def failing(self) -> bool:
        """Return whether there is no sink to write to."""
        return self._sink is None

    def watched(self) -> bool | None:
        """Return whether the output has viewers, or None if unknown."""
        sink = self._sink
        return None if sink is None else sink.watched()

    def check(self) -> None:
        """Replace a thread that hangs in the sink. Call this a few times a second."""
        taken_s = self._watch.overdue_s()
        if taken_s is None or not self._reopens or self._stopping.is_set():
            return
        self._watch = Deadline()  # the abandoned thread keeps the old one
        self._faults.raised(PART, f"hangs for {taken_s:.1f} s and is opened again")
        sink, self._sink = self._sink, None
        if sink is not None:
            self._closers.start("abort", sink.abort)
        if not self._turns.replace():
            self._fail(SinkError(f"the output hung {MOST_HANGING + 1} times and is given up"))

    def stop(self, patience_s: float) -> None:
        """Stop the thread and close the sink. A thread that hangs is abandoned."""
        self._stopping.set()
        self._woken.set()
        self._given.set()
        self._turns.end(patience_s)
        sink, self._sink = self._sink, None
        if sink is not None:
            self._closers.start("close", sink.close)
        self._closers.close(patience_s)

    def _run(self, turn: int) -> None:
        pacer = Pacer(self._period_s, time.monotonic())
        backoff = Backoff()
        while self._turns.current(turn) and not self._stopping.is_set():
            self._woken.wait(pacer.wait_s(time.monotonic()))
            if self._woken.is_set():
                self._woken.clear()
                continue
            due_s = time.monotonic()
            if self._idle:
                self._woken.wait(IDLE_PERIOD_S)
            else:
                self._given.wait(GRACE * self._period_s)
            if self._stopping.is_set():
                return
            frame, arrived_s = self._choose()
            if not self._write(turn, frame, arrived_s, backoff):
                return
            waited_s = None
            if arrived_s is not None and self._delivered_s is not None:
                waited_s = due_s - self._delivered_s
            pacer.tick(time.monotonic(), waited_s)

    def _choose(self) -> tuple[LastOutput, float | None]:
        """Choose the frame to write, and return when it arrived if it is new."""
        now = time.monotonic()
        with self._lock:
            newest = self._newest
            self._age_s += min(now - self._aged_s, self._period_s + MOST_STALL_S)
            self._aged_s = now
            fresh = newest is not None and self._age_s <= self._hold_s()
            image = newest.frame.image if newest is not None and fresh else self._safe
            arrived_s = newest.at_s if newest is not None and fresh and self._is_new else None
            self._is_new = False
            self._given.clear()
        frame = Frame(image, now - self._epoch, self._index)
        self._index += 1
        return LastOutput(frame, fresh), arrived_s

    def _hold_s(self) -> float:
        """Return how long to show a composited frame when no other arrives, in seconds."""
        usual_s = median(self._intervals_s) if self._intervals_s else 0.0
        return HOLD_S + max(usual_s, self._period_s)

    def _write(
        self, turn: int, shown: LastOutput, arrived_s: float | None, backoff: Backoff
    ) -> bool:
        """Write, opening the sink if needed. Returns False if this thread must end."""
        try:
            with self._watch.over(WRITE_PATIENCE_S):
                sink = self._sink or self._reopen(turn)
            with self._watch.over(WRITE_PATIENCE_S), self._clock.stage("write"):
                sink.write(shown.frame)
        except Exception as error:
            return self._failed(turn, error, backoff)
        if not self._turns.current(turn):
            return False
        backoff.worked()
        self._faults.cleared(PART)
        self._count(shown, arrived_s)
        return True

    def _reopen(self, turn: int) -> Sink:
        sink = self._open_sink()
        if not self._turns.current(turn) or self._stopping.is_set():
            sink.abort()
            raise SinkError("opened too late")
        self._sink = sink
        return sink

    def _failed(self, turn: int, error: Exception, backoff: Backoff) -> bool:
        if not self._turns.current(turn) or self._stopping.is_set():
            return False
        if not self._reopens:
            self._fail(error)
            return False
        self._faults.raised(PART, error)
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.abort()
        self._stopping.wait(backoff.next_s())
        return True

    def _count(self, shown: LastOutput, arrived_s: float | None) -> None:
        self.shown = shown
        if not shown.live:
            self.fallback_frames += 1
        elif arrived_s is None:
            self.repeated += 1
        else:
            now = time.monotonic()
            self.first_s, self.last_s = self.first_s or now, now
            self.frames += 1
            self.latencies_s.append(now - arrived_s)
            if self._limit is not None and self.frames >= self._limit:
                self._stopping.set()
                self.done.set()
