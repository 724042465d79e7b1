"""Writes to a sink at a steady rate: the composited frame that is due, or the fallback image."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vidbg.errors import SinkError
from vidbg.frame import Image
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.live_frames import Arrived
from vidbg.pipeline.live.outputs.frame_buffer import FrameBuffer, LastOutput
from vidbg.pipeline.live.outputs.pacing import Pacer
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.pipeline.live.threads.backoff import Backoff
from vidbg.pipeline.live.threads.replaceable_thread import Deadline, ReplaceableThread
from vidbg.sinks import Adaptable, Sink

logger = logging.getLogger(__name__)

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
        frames: takes the frames, and chooses the one to write.
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
        self.frames = FrameBuffer(fallback, context.period_s)
        self.shown: LastOutput | None = None
        self._sink: Sink | None = None
        self._thread = ReplaceableThread(PART, self._write_frames, MAX_HANGING)
        self._deadline = Deadline()
        self._stopping = threading.Event()
        self._closers = BackgroundTasks()

    def open(self) -> None:
        """Open the sink before the start, where a failure is still the caller's.

        Raises:
            VidbgError: the sink cannot be opened.
        """
        self._sink = self.target.open()

    def start(self) -> None:
        """Start writing; the sink is opened in the writer's thread if it is not open."""
        self._thread.start()

    # --- the way of a frame ---

    def _write_frames(self, turn: int) -> None:
        """Write a frame at each tick, until the run or this turn ends."""
        frames, deadline, backoff = self.frames, self._deadline, Backoff()
        period_s = frames.period_s
        pacer = Pacer(period_s, time.monotonic())
        while self._thread.current(turn) and not self._stopping.is_set():
            # Wait for the tick; a change that cannot wait for it ends the wait and starts another
            if frames.woken.wait(pacer.wait_s(time.monotonic())):
                frames.woken.clear()
                continue
            # At the tick, wait a little for a frame that is about to come
            tick_s = time.monotonic()
            if frames.is_idle:
                frames.woken.wait(IDLE_PERIOD_S)
            else:
                frames.delivered.wait(GRACE * frames.period_s)
            if self._stopping.is_set():
                return
            due = None
            try:
                # The frame is chosen last: while a sink opens, the one before it may be hidden
                sink = self._prepare_sink(turn, deadline)
                choice = frames.choose()
                if choice is None:
                    continue
                shown, due = choice
                with deadline.over(WRITE_PATIENCE_S), self._context.clock.stage("write"):
                    sink.write(shown.frame)
            except Exception as error:
                if not self._handle_failure(turn, error):
                    return
                self._stopping.wait(backoff.next_s())
            else:
                # A thread that was replaced while it wrote must not count its frame
                if not self._thread.current(turn):
                    return
                backoff.worked()
                self._context.faults.cleared(self.target.part)
                self.shown = shown
                self._listener.written(shown, None if due is None else due.arrived)
            # The next tick, at the rate of now
            if period_s != frames.period_s:
                period_s = frames.period_s
                pacer = Pacer(period_s, tick_s)
            pacer.tick(time.monotonic(), None if due is None else tick_s - due.at_s)

    def _prepare_sink(self, turn: int, deadline: Deadline) -> Sink:
        """Return an open sink that takes frames of the present size and rate.

        Raises:
            VidbgError: it cannot be opened, or only when another thread had taken its place.
        """
        resized, sink = self.frames.take_resize(), self._sink
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

    def _handle_failure(self, turn: int, error: Exception) -> bool:
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
        return True

    def _close(self, sink: Sink) -> None:
        try:
            sink.close()
        except Exception as error:
            logger.warning("the %s could not be completed: %s", self.target.part, error)

    # --- what the others see and ask ---

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
        self.frames.wake()
        self._thread.end(patience_s)
        sink, self._sink = self._sink, None
        if sink is not None:
            self._closers.start("close", lambda: self._close(sink))
        self._closers.close(patience_s)
        self._context.faults.forget(self.target.part)
