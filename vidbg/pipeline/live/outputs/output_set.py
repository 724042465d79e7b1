"""All outputs of a live run: they get the same frames, and none disturbs another."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from functools import partial

from vidbg.frame import Image, StreamInfo
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.live_frames import Arrived
from vidbg.pipeline.live.outputs.frame_buffer import LastOutput
from vidbg.pipeline.live.outputs.frame_queue import MAX_WAITING
from vidbg.pipeline.live.outputs.output_writer import OutputTarget, OutputWriter
from vidbg.pipeline.live.status import OutputState, OutputStatus
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.util.timing import KEPT

CLOSE_PATIENCE_S = 3.0
"""How long an output that is no longer wanted may take to close before it is left behind."""


class OutputSet:
    """A writer for each output, in a thread of its own.

    Args:
        targets: the outputs at the start.
        fallback: image shown when there is no fresh frame.
        context: of the run, which ends when its last output has ended.
        frame_limit: end the run after this many composited frames.

    Attributes:
        fallback: the current fallback image.
        shown: the last frame that any output wrote; None before the first.
        frames: composited frames that at least one output wrote.
        repeated, fallback_frames: times that an output wrote the last frame again, or the fallback.
        superseded: composited frames that no output wrote, because the next one came first.
        latencies_s: of the last frames, from arrival to the first output, in seconds.
        first_s, last_s: when the first and the last composited frame was written.
    """

    def __init__(
        self,
        targets: Sequence[OutputTarget],
        fallback: Image,
        context: RunContext,
        frame_limit: int | None = None,
    ) -> None:
        self._context, self._limit = context, frame_limit
        self.fallback = fallback
        self._lock = threading.RLock()
        self._newest: Arrived | None = None
        self._pending: deque[int] = deque()  # indexes of frames that no output has written yet
        self._idle = False
        self._running = False
        self._helpers = BackgroundTasks()
        self.shown: LastOutput | None = None
        self.frames, self.repeated, self.fallback_frames, self.superseded = 0, 0, 0, 0
        self._counted_index = -1
        self.latencies_s: deque[float] = deque(maxlen=KEPT)
        self.first_s, self.last_s = 0.0, 0.0
        self._ended: dict[OutputWriter, BaseException] = {}
        self._extra: list[OutputWriter] = []
        self._outputs = [self._make_writer(target) for target in targets]

    # --- the way of a frame ---

    def deliver(self, composited: Arrived) -> None:
        """Take a composited frame; one that comes after the last viewer has gone is dropped."""
        with self._lock:
            if self._idle:
                return
            self._newest = composited
            self._pending.append(composited.frame.index)
            if len(self._pending) > MAX_WAITING:
                self._pending.popleft()
                self.superseded += 1
            writers = self.writers
        for writer in writers:
            writer.frames.deliver(composited)

    def replace_fallback(self, image: Image, *, keep: bool) -> None:
        """Replace the fallback image.

        Args:
            keep: whether an earlier frame may still be held; otherwise it is no longer shown.
        """
        with self._lock:
            self.fallback = image
            if not keep:
                self._newest = None
                self._pending.clear()
            for writer in self.writers:
                writer.frames.replace_fallback(image, keep=keep)

    def resize(self, fallback: Image, info: StreamInfo) -> None:
        """Let every output take frames of another size and rate; those of the last are dropped."""
        with self._lock:
            self.fallback = fallback
            self._newest = None
            self._pending.clear()
            for writer in self.writers:
                writer.frames.resize(fallback, info)

    def idle(self, idle: bool) -> None:
        """Switch between writing only the fallback image, rarely, and normal output."""
        with self._lock:
            if idle == self._idle:
                return
            self._idle = idle
            self._newest = None
            self._pending.clear()
            for writer in self.writers:
                writer.frames.idle(idle)

    def written(self, shown: LastOutput, arrived: Arrived | None) -> None:
        """Count a frame that a writer wrote, in its thread."""
        with self._lock:
            self.shown = shown
            if not shown.live:
                self.fallback_frames += 1
            elif arrived is None:
                self.repeated += 1
            elif arrived.frame.index > self._counted_index and not self._limit_reached:
                now = time.monotonic()
                self._counted_index = arrived.frame.index
                while self._pending and self._pending[0] <= self._counted_index:
                    self.superseded += self._pending.popleft() < self._counted_index
                self.first_s, self.last_s = self.first_s or now, now
                self.frames += 1
                self.latencies_s.append(now - arrived.at_s)
                if self._limit_reached:
                    self._context.ending.set()

    def ended(self, writer: OutputWriter, error: BaseException) -> None:
        """Note that a writer has ended for good; the run ends with its last output."""
        with self._lock:
            self._ended[writer] = error
            if writer in self._extra:
                return
            if all(each in self._ended for each in self._outputs):
                self._context.fail(error)
            else:
                self._context.faults.raised(writer.target.part, error)

    @property
    def _limit_reached(self) -> bool:
        return self._limit is not None and self.frames >= self._limit

    # --- the life of the outputs ---

    def start(self, *, tolerant: bool = False) -> None:
        """Open the outputs and start writing.

        Args:
            tolerant: an output that does not open is a fault and is opened again, not an error.
        Raises:
            VidbgError: an output cannot be opened.
        """
        for writer in self._outputs:
            if not tolerant:
                writer.open()
        with self._lock:
            self._running = True
            for writer in self.writers:
                writer.start()

    def replace_targets(self, targets: Sequence[OutputTarget]) -> None:
        """Open and close outputs until there are these; those that stay notice nothing.

        Returns at once. What cannot be opened is a fault, and is opened again and again.
        """
        with self._lock:
            wanted = {target.key: target for target in targets}
            kept = {
                writer.target.key: writer
                for writer in self._outputs
                if writer.target.key in wanted and writer not in self._ended
            }
            for writer in self._outputs:
                if writer not in kept.values():
                    self._ended.pop(writer, None)
                    # In its own thread, as closing may hang
                    self._helpers.start("close-output", partial(writer.stop, CLOSE_PATIENCE_S))
            added = {
                key: self._make_writer(target) for key, target in wanted.items() if key not in kept
            }
            self._outputs = [{**kept, **added}[key] for key in wanted]
            if self._running:
                for writer in added.values():
                    writer.start()

    def add_writer(self, target: OutputTarget) -> OutputWriter:
        """Open one that is not an output of the run, such as a recording.

        Args:
            target: opens at once, as the outputs wait for it: what is hidden meanwhile would be
                written to it.
        Raises:
            VidbgError: it cannot be opened.
        """
        with self._lock:
            writer = self._make_writer(target)
            writer.open()
            self._extra.append(writer)
            if self._running:
                writer.start()
        return writer

    def remove_writer(self, writer: OutputWriter, patience_s: float) -> None:
        """Close one that was added, and wait for it."""
        with self._lock:
            self._ended.pop(writer, None)
            self._extra.remove(writer)
        writer.stop(patience_s)

    def check(self) -> None:
        """Replace threads that hang. Call this a few times a second."""
        for writer in self.writers:
            writer.check()

    def stop(self, patience_s: float) -> None:
        """Close every output, all at once."""
        with self._lock:
            writers, self._running = [*self._outputs, *self._extra], False
        for writer in writers:
            self._helpers.start("close-output", partial(writer.stop, patience_s))
        self._helpers.close(2 * patience_s)

    def _make_writer(self, target: OutputTarget) -> OutputWriter:
        writer = OutputWriter(target, self.fallback, self._context, self)
        with self._lock:
            if self._idle:
                writer.frames.idle(True)
            elif self._newest is not None:  # its viewers see the person at once
                writer.frames.deliver(self._newest)
        return writer

    @property
    def writers(self) -> list[OutputWriter]:
        """Everything that is written to and has not ended."""
        return [each for each in (*self._outputs, *self._extra) if each not in self._ended]

    def error_of(self, writer: OutputWriter) -> BaseException | None:
        """Return why a writer has ended, or None if it has not."""
        return self._ended.get(writer)

    # --- what the others see ---

    @property
    def caught_up(self) -> bool:
        """Return whether every output has written the newest frame."""
        return all(writer.frames.caught_up for writer in self.writers)

    @property
    def failing(self) -> bool:
        """Return whether there is no sink to write to."""
        return all(writer.failing for writer in self._outputs)

    def watched(self) -> bool | None:
        """Return True if any output has viewers, None if any cannot tell, otherwise False."""
        answers = {writer.watched() for writer in self.writers}
        if True in answers:
            return True
        return None if None in answers else False

    def statuses(self) -> list[OutputStatus]:
        """Describe the outputs, in the order in which they were asked for."""
        statuses = []
        with self._lock:
            for writer in self._outputs:
                target, fault = writer.target, self._context.faults.of(writer.target.part)
                state = OutputState.ON
                if writer in self._ended:
                    state = OutputState.ENDED
                elif writer.failing:
                    state = OutputState.FAILING if fault else OutputState.OPENING
                statuses.append(
                    OutputStatus(
                        target.key, target.name, writer.url, state, fault, writer.watched()
                    )
                )
        return statuses
