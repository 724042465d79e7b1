"""Says what viewers of a live run see and why, and how fast it is."""

from __future__ import annotations

import logging

from vidbg.pipeline.live.faults import RepeatFilter
from vidbg.pipeline.live.history import History
from vidbg.pipeline.live.pipeline import LivePipeline
from vidbg.pipeline.live.status import (
    EASED,
    LIMITED,
    LOADING,
    TOO_LATE,
    LiveReport,
    LiveStatus,
    State,
    words_over_limit,
)

logger = logging.getLogger(__name__)

SILENT_S = 1.5
"""A camera or network that takes longer than this is why viewers see no new picture."""


class StatusReporter:
    """Makes the status of a run from what its parts do, and logs each change of it.

    Attributes:
        history: what the run did in the last ten minutes.
    """

    def __init__(self, pipeline: LivePipeline) -> None:
        self._pipeline, self._context = pipeline, pipeline.context
        self._state = State.STARTING
        self._repeats = RepeatFilter()
        self._warned_limit: float | None = None
        self.history = History()

    def status(self, watched: bool | None) -> LiveStatus:
        """Return the current status. Call this a few times a second.

        Args:
            watched: whether the outputs have viewers; None if unknown.
        """
        outputs = self._pipeline.outputs
        state, reason = self._judge()
        if state is not self._state:
            words = f"{state.words} ({reason})" if reason else state.words
            new = state is State.DEGRADED and self._repeats.is_new(words)
            level = logging.WARNING if new else logging.INFO
            logger.log(level, "%s -> %s", self._state.words, words)
        self._state = state
        self.history.record(state, outputs.frames, self._pipeline.dropped, outputs.latencies_s)
        sample = self.history.latest
        fps, cpu_percent = (0.0, 0.0) if sample is None else (sample.fps, sample.cpu_percent)
        latency_ms = 1e3 * outputs.latencies_s[-1] if outputs.latencies_s else None
        reduced = self._why_reduced()
        return LiveStatus(state, reason, fps, cpu_percent, latency_ms, watched, reduced)

    def report(self) -> LiveReport:
        """Return the statistics of the run so far."""
        outputs = self._pipeline.outputs
        return LiveReport(
            frames=outputs.frames,
            repeated=outputs.repeated,
            fallback_frames=outputs.fallback_frames,
            dropped=self._pipeline.dropped,
            faults=self._context.faults.count,
            seconds=outputs.last_s - outputs.first_s,
            latencies_s=list(outputs.latencies_s),
        )

    def _judge(self) -> tuple[State, str | None]:
        """Say what viewers see, and why."""
        pipeline, outputs = self._pipeline, self._pipeline.outputs
        fault = self._context.faults.present()
        stopped_by = self._context.faults.present(of_picture=True)
        if pipeline.gate.shows_card:
            return State.AWAY, fault
        if not pipeline.camera.active:
            return State.PAUSED, "nobody watches, so the camera is off"
        if outputs.shown is not None and outputs.shown.live and not outputs.failing:
            return State.LIVE, fault  # one frame failed, the previous one is still shown
        is_new = outputs.frames == 0 or self._state in (State.PAUSED, State.AWAY, State.STARTING)
        if stopped_by is None and is_new:
            loads = not self._context.network_ran.is_set() and not self._context.look.shows_room
            return State.STARTING, fault or (LOADING if loads else None)
        return State.DEGRADED, stopped_by or self._why_late()

    def _why_late(self) -> str:
        """Say what viewers wait for, before it counts as hanging."""
        pipeline = self._pipeline
        if pipeline.camera.silent_s > SILENT_S:
            return f"the camera gives no picture for {pipeline.camera.silent_s:.1f} s"
        for part in (pipeline.matting, pipeline.compositing):
            if part.busy_s > SILENT_S:
                return f"the {part.name} has been busy with one picture for {part.busy_s:.1f} s"
        return TOO_LATE

    def _why_reduced(self) -> str | None:
        """Say why the network works with less, and warn once where that is not enough."""
        governor = self._pipeline.governor
        used, limit = governor.over_limit, governor.cpu_limit
        if used is not None:
            words = words_over_limit(used, limit, self._context.info)
            if self._warned_limit != limit:
                self._warned_limit = limit
                logger.warning("%s", words)
            return words
        return (LIMITED if governor.limited else EASED) if governor.reduced else None
