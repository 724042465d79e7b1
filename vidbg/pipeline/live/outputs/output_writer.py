"""Writes to a sink at a steady rate: the composited frame that is due, or the fallback image."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Protocol

from vidbg.compositing.scaling import letterbox
from vidbg.errors import SinkError
from vidbg.frame import Frame, Image, StreamInfo
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.live_frames import Arrived
from vidbg.pipeline.live.outputs.frame_queue import Due, FrameQueue
from vidbg.pipeline.live.outputs.pacing import Pacer
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.pipeline.live.threads.backoff import Backoff
from vidbg.pipeline.live.threads.replaceable_thread import Deadline, ReplaceableThread
from vidbg.sinks import Adaptable, Sink

logger = logging.getLogger(__name__)

HOLD_S = 2.5
"""How much longer than usual the next composited frame may take before the fallback image is shown.
The last frame is held until then: it shows no more of the room than before, and without it the
person would flicker on a busy machine. This covers two seconds of trouble and the recovery."""

MAX_INTERVAL_S = 3.0
"""A longer interval between composited frames is an outage and does not count as usual."""

MAX_STALL_S = 0.5
"""Maximum lateness counted for a tick: a process that was stopped or starved wrote nothing in the
meantime, and that does not make its frame old."""

IDLE_PERIOD_S = 0.5
"""Interval between two frames while there are no viewers."""

GRACE = 0.5
"""How long a tick waits for a late frame, as a share of the period. Without it, a frame that
arrives just after its tick is dropped for the next one, and the previous frame is written twice."""

WRITE_PATIENCE_S, MAX_HANGING = 3.0, 3

PART = "output"


@dataclass(frozen=True, slots=True)
class OutputTarget:
    """Where a writer writes to.

    Attributes:
        name: for messages, without secrets; "" if there is only one output.
        open: opens the sink.
        reopens: open the sink again when it fails or hangs. Otherwise its failure is the end of
            this output, and of the run if there is no other.
        key: what the user asked for, by which outputs are told apart.
    """

    name: str
    open: Callable[[], Sink]
    reopens: bool = True
    key: str | None = None

    @property
    def part(self) -> str:
        """The name of this output among the parts of a run."""
        return f"{PART} {self.name}".rstrip()


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


class OutputListener(Protocol):
    """Receives what happens in a writer's thread."""

    def written(self, shown: LastOutput, arrived: Arrived | None) -> None:
        """Count a frame; `arrived` is None if it had been written before."""
        ...

    def ended(self, writer: OutputWriter, error: BaseException) -> None:
        """Note that a sink that is not opened again has failed."""
        ...


class OutputWriter:
    """Owns one sink and writes only composited frames and the fallback image to it.

    Args:
        target: what to open, first in open() or by the writer's thread, and after each failure.
        fallback: image shown when there is no fresh frame.
        context: of the run.
        listener: see OutputListener.

    Attributes:
        shown: the last frame that was written.
    """

    def __init__(
        self,
        target: OutputTarget,
        fallback: Image,
        context: RunContext,
        listener: OutputListener,
    ) -> None:
        self.target, self._context, self._listener = target, context, listener
        self._period_s = context.period_s
        self._lock = threading.Lock()
        self._fallback = fallback
        self._queue = FrameQueue(self._period_s)
        self._held: Arrived | None = None  # written last
        self._intervals_s: deque[float] = deque(maxlen=60)
        self._delivered_s: float | None = None
        self._age_s, self._aged_s = 0.0, time.monotonic()
        self._thread = ReplaceableThread(PART, self._write_frames, MAX_HANGING)
        self._deadline = Deadline()
        self._closers = BackgroundTasks()
        self._woken, self._delivered = threading.Event(), threading.Event()
        self._stopping = threading.Event()
        self._idle = self._resized = False
        self._sink: Sink | None = None
        self._epoch = time.monotonic()
        self._index = 0
        self.shown: LastOutput | None = None

    def open(self) -> None:
        """Open the sink before the start, where a failure is still the caller's.

        Raises:
            VidbgError: the sink cannot be opened.
        """
        self._sink = self.target.open()

    def start(self) -> None:
        """Start writing; the sink is opened in the writer's thread if it is not open."""
        self._thread.start()

    def deliver(self, composited: Arrived) -> None:
        """Take a composited frame."""
        now = time.monotonic()
        with self._lock:
            if self._idle:
                return
            if self._delivered_s is not None:
                self._intervals_s.append(min(now - self._delivered_s, MAX_INTERVAL_S))
            self._delivered_s = now
            self._age_s, self._aged_s = 0.0, now
            self._queue.put(composited, now)
        self._delivered.set()

    def replace_fallback(self, image: Image, *, keep: bool) -> None:
        """Replace the fallback image.

        Args:
            keep: whether an earlier frame may still be held; otherwise it is no longer shown.
        """
        with self._lock:
            self._fallback = image
            if not keep:
                self._forget_frames()
                self._woken.set()

    def resize(self, fallback: Image, info: StreamInfo) -> None:
        """Take frames of another size and rate.

        A sink that cannot is closed and opened again. Until the first new frame the last one is
        shown, between bars where the shape differs.

        Args:
            fallback: of that size.
        """
        with self._lock:
            self._fallback, self._resized = fallback, True
            self._period_s = 1 / float(info.frame_rate or 30)
            self._queue = FrameQueue(self._period_s)
            if self._held is not None:
                frame = self._held.frame
                image = letterbox(frame.image, info.height, info.width)
                self._held = replace(self._held, frame=replace(frame, image=image))

    def idle(self, idle: bool) -> None:
        """Switch between writing only the fallback image, rarely, and normal output."""
        with self._lock:
            self._idle = idle
            self._forget_frames()
        self._woken.set()

    def _forget_frames(self) -> None:
        """Hold no frame any more, and write none that waits. Call this with the lock."""
        self._queue.clear()
        self._held, self._delivered_s = None, None

    @property
    def caught_up(self) -> bool:
        """Return whether every frame has been written."""
        return self._queue.empty

    @property
    def failing(self) -> bool:
        """Return whether there is no sink to write to."""
        return self._sink is None

    @property
    def url(self) -> str | None:
        """Return the address of a page that the sink serves, with its token, which is a secret."""
        return getattr(self._sink, "url", None)

    def watched(self) -> bool | None:
        """Return whether the output has viewers, or None if unknown."""
        sink = self._sink
        return None if sink is None else sink.watched()

    def check(self) -> None:
        """Replace a thread that hangs in the sink. Call this a few times a second."""
        taken_s = self._deadline.overdue_s()
        if taken_s is None or not self.target.reopens or self._stopping.is_set():
            return
        self._deadline = Deadline()  # the abandoned thread keeps the old one
        words = f"hangs for {taken_s:.1f} s and is opened again"
        self._context.faults.raised(self.target.part, words)
        sink, self._sink = self._sink, None
        if sink is not None:
            self._closers.start("abort", sink.abort)
        if not self._thread.replace():
            words = f"the {self.target.part} hung {MAX_HANGING + 1} times and is given up"
            self._stopping.set()
            self._listener.ended(self, SinkError(words))

    def stop(self, patience_s: float) -> None:
        """Stop the thread and close the sink. A thread that hangs is abandoned."""
        self._stopping.set()
        self._woken.set()
        self._delivered.set()
        self._thread.end(patience_s)
        sink, self._sink = self._sink, None
        if sink is not None:
            self._closers.start("close", lambda: self._close(sink))
        self._closers.close(patience_s)
        self._context.faults.forget(self.target.part)

    def _close(self, sink: Sink) -> None:
        try:
            sink.close()
        except Exception as error:
            logger.warning("the %s could not be completed: %s", self.target.part, error)

    def _write_frames(self, turn: int) -> None:
        """Write a frame at each tick, until the run or this turn ends."""
        period_s = self._period_s
        pacer = Pacer(period_s, time.monotonic())
        deadline, backoff = self._deadline, Backoff()
        while self._thread.current(turn) and not self._stopping.is_set():
            # Wait for the tick; a change that cannot wait for it ends the wait and starts another
            self._woken.wait(pacer.wait_s(time.monotonic()))
            if self._woken.is_set():
                self._woken.clear()
                continue
            # At the tick, wait a little for a frame that is about to come
            tick_s = time.monotonic()
            if self._idle:
                self._woken.wait(IDLE_PERIOD_S)
            else:
                self._delivered.wait(GRACE * self._period_s)
            if self._stopping.is_set():
                return
            due = None
            try:
                # The frame is chosen last: while a sink opens, the one before it may be hidden
                sink = self._prepare_sink(turn, deadline)
                choice = self._choose_frame()
                if choice is None:
                    continue
                shown, due = choice
                with deadline.over(WRITE_PATIENCE_S), self._context.clock.stage("write"):
                    sink.write(shown.frame)
            except Exception as error:
                if not self._handle_failure(turn, error, backoff):
                    return
            else:
                if not self._thread.current(turn):
                    return
                backoff.worked()
                self._context.faults.cleared(self.target.part)
                self.shown = shown
                self._listener.written(shown, None if due is None else due.arrived)
            if period_s != self._period_s:
                period_s = self._period_s
                pacer = Pacer(period_s, tick_s)
            pacer.tick(time.monotonic(), None if due is None else tick_s - due.at_s)

    def _prepare_sink(self, turn: int, deadline: Deadline) -> Sink:
        """Return an open sink that takes frames of the present size and rate.

        Raises:
            VidbgError: it cannot be opened, or only when another thread had taken its place.
        """
        with self._lock:
            resized, self._resized = self._resized, False
        sink = self._sink
        if resized and isinstance(sink, Adaptable):
            sink.adapt(self._context.info)
        elif resized and sink is not None:
            self._sink = None
            with deadline.over(WRITE_PATIENCE_S):
                self._close(sink)
            sink = None
        if sink is None and self._thread.current(turn):
            with deadline.over(WRITE_PATIENCE_S):
                sink = self.target.open()
            if self._thread.current(turn) and not self._stopping.is_set():
                self._sink = sink
            else:
                sink.abort()
                sink = None
        if sink is None:
            raise SinkError("opened too late")
        return sink

    def _choose_frame(self) -> tuple[LastOutput, Due | None] | None:
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
            self._age_s += min(now - self._aged_s, self._period_s + MAX_STALL_S)
            self._aged_s = now
            usual_s = median(self._intervals_s) if self._intervals_s else 0.0
            hold_s = HOLD_S + max(usual_s, self._period_s)
            if newest is not None and self._age_s > hold_s:
                newest = None
            image = self._fallback if newest is None else newest.frame.image
            if self._queue.empty:
                self._delivered.clear()
        frame = Frame(image, now - self._epoch, self._index)
        self._index += 1
        return LastOutput(frame, newest is not None, now), None if newest is None else due

    def _handle_failure(self, turn: int, error: Exception, backoff: Backoff) -> bool:
        """Let go of a sink that failed, and return whether this thread goes on."""
        if not self._thread.current(turn) or self._stopping.is_set():
            return False
        if not self.target.reopens:
            self._stopping.set()
            self._listener.ended(self, error)
            return False
        self._context.faults.raised(self.target.part, error)
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.abort()
        self._stopping.wait(backoff.next_s())
        return True
