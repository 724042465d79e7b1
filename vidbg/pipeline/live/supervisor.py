"""Supervises a live run: threads that hang, viewers, previews, and what the run's state is.

What moves the frames is in `pipeline.py`. The output never stops and never shows the room: a frame
that cannot be composited is replaced by the background or a slate. The caller's thread draws the
previews and supervises the others.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from vidbg.frame import Frame, Image
from vidbg.pipeline.live.appearance import Appearance
from vidbg.pipeline.live.faults import RepeatFilter
from vidbg.pipeline.live.history import History
from vidbg.pipeline.live.outputs.recorder import Recorder
from vidbg.pipeline.live.pipeline import LivePipeline
from vidbg.pipeline.live.status import (
    EASED,
    LIMITED,
    TOO_LATE,
    LiveReport,
    LiveStatus,
    State,
    words_over_limit,
)
from vidbg.pipeline.live.views import View, view_image
from vidbg.util.timing import StageClock

logger = logging.getLogger(__name__)

CHECK_PERIOD_S = 0.1
"""Interval between two checks of threads, viewers and state."""

STANDSTILL_S = 1.0
"""An iteration longer than this means that the process did not run."""

SILENT_S = 1.5
"""A camera or network that takes longer than this is why viewers see no new picture."""

UNWATCHED_S = 5.0
"""Delay before the camera is closed after the last reader leaves: programs probe cameras by opening
them briefly, and a reopened meeting window does so twice."""

PATIENCE_S = 3.0
"""Wait for a thread that hangs at the end of the run."""


class Preview(Protocol):
    """A window or page that shows what viewers see, drawn in the supervisor's thread.

    It may have an attribute `view`, one of View, to be shown something else.

    Attributes:
        watches: whether it counts as a viewer, which keeps the run going without others.
        smooth: show every frame, not ten a second; may change.
    """

    @property
    def smooth(self) -> bool: ...

    @property
    def watches(self) -> bool: ...

    def show(self, frame: Frame, status: LiveStatus) -> None:
        """Draw, and handle the input since the last call.

        Raises:
            SinkError: the window has been closed.
        """
        ...

    def close(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class SupervisorConfig:
    """How a run is supervised.

    Attributes:
        on_demand: close the camera while there are no viewers, if the outputs report them; may
            change during the run.
        needs_preview: end the run with the last preview, because there is no other output.
        tolerant: an output that does not open at the start is a fault, not an error.
    """

    on_demand: bool = True
    needs_preview: bool = False
    tolerant: bool = False


class Supervisor:
    """Runs a pipeline until stop(), Ctrl-C or a permanent error.

    Args:
        pipeline: not started.
        config: see SupervisorConfig.
        previews: drawn at most at the output's rate; one that fails is closed, the run continues.
        on_status: called a few times a second.
    """

    def __init__(
        self,
        pipeline: LivePipeline,
        config: SupervisorConfig | None = None,
        *,
        previews: Sequence[Preview] = (),
        on_status: Callable[[LiveStatus], None] | None = None,
    ) -> None:
        self.pipeline, self.config = pipeline, config or SupervisorConfig()
        self._context = pipeline.context
        self._previews, self._on_status = list(previews), on_status
        self._round_s = time.monotonic()
        self._state = State.STARTING
        self._reason: str | None = None
        self._repeats = RepeatFilter()
        self._warned_limit: float | None = None
        self._watched_s = time.monotonic()
        self.history = History()
        self._switching_camera = threading.Lock()
        self.recorder = Recorder(pipeline.outputs, pipeline.context)

    @property
    def clock(self) -> StageClock:
        """Times of the stages."""
        return self._context.clock

    @property
    def look(self) -> Appearance:
        """The current look of the output."""
        return self._context.look

    def change(self, look: Appearance, *, keep_hidden: bool = False) -> None:
        """Change the look. May be called from any thread.

        Args:
            keep_hidden: where the room is hidden, it stays so, with the background of now.
        Raises:
            ConfigError: the background cannot be read; nothing is changed.
        """
        self.pipeline.gate.change_look(look, keep_hidden=keep_hidden)

    def set_away(self, card: Image | None) -> None:
        """Close the camera and show only this image; None goes on. May be called from any thread.

        Args:
            card: uint8 (H, W, 3), BGR, of the output's size.
        """
        with self._switching_camera:
            self.pipeline.gate.show_card(card)
            if card is not None:
                self.pipeline.camera.pause()
                self.pipeline.matting.forget()

    def stop(self) -> None:
        """Stop soon. May be called from any thread."""
        self._context.ending.set()

    def run(self) -> LiveReport:
        """Run to the end.

        Raises:
            VidbgError: an output cannot be opened, the network cannot be loaded, or
                something failed permanently.
        """
        pipeline, ending = self.pipeline, self._context.ending
        try:
            pipeline.start(tolerant=self.config.tolerant)
            if not pipeline.gate.shows_card:
                pipeline.camera.resume()
            self._round_s = time.monotonic()
            while not (ending.is_set() or pipeline.finished):
                self._go_round()
                smooth = any(preview.smooth for preview in self._previews)
                period_s = min(CHECK_PERIOD_S, self._context.period_s) if smooth else CHECK_PERIOD_S
                ending.wait(period_s)
        finally:
            self.recorder.close()
            pipeline.stop(PATIENCE_S)
            for preview in self._previews:
                _close(preview)
        if self._context.failure is not None:
            raise self._context.failure
        return self._report()

    def _go_round(self) -> None:
        """Run one iteration of the supervising thread."""
        now = time.monotonic()
        stood_s, self._round_s = now - self._round_s, now
        if stood_s > STANDSTILL_S:  # stopped (Ctrl-Z), frozen or asleep: nobody was slow
            logger.info("everything stood still for %.1f s", stood_s)
            self.pipeline.governor.restart(now)
        self.pipeline.check()
        self.recorder.check()
        watched = self._follow_viewers(now)
        status = self._status(watched)
        if self._on_status is not None:
            self._on_status(status)
        self._draw_previews(status)

    def _follow_viewers(self, now: float) -> bool | None:
        """Open the camera if it is needed, and close it some time after the last viewer leaves."""
        pipeline, watched = self.pipeline, self.pipeline.outputs.watched()
        previewed = any(preview.watches for preview in self._previews)
        if watched is not False or previewed or not self.config.on_demand:
            self._watched_s = now
        nobody = now - self._watched_s > UNWATCHED_S
        pipeline.outputs.idle(nobody)
        with self._switching_camera:
            if pipeline.gate.shows_card or nobody:
                if pipeline.camera.active:
                    pipeline.camera.pause()
            elif not pipeline.camera.active:
                pipeline.camera.resume()
        return watched if self.config.on_demand else None

    def _status(self, watched: bool | None) -> LiveStatus:
        outputs = self.pipeline.outputs
        state, reason = self._judge()
        if state is not self._state:
            words = f"{state.words} ({reason})" if reason else state.words
            new = state is State.DEGRADED and self._repeats.is_new(words)
            level = logging.WARNING if new else logging.INFO
            logger.log(level, "%s -> %s", self._state.words, words)
        self._state, self._reason = state, reason
        self.history.record(state, outputs.frames, self.pipeline.dropped, outputs.latencies_s)
        sample = self.history.latest
        fps, cpu_percent = (0.0, 0.0) if sample is None else (sample.fps, sample.cpu_percent)
        latency_ms = 1e3 * outputs.latencies_s[-1] if outputs.latencies_s else None
        reduced = self._why_reduced()
        return LiveStatus(state, reason, fps, cpu_percent, latency_ms, watched, reduced)

    def _why_reduced(self) -> str | None:
        """Say why the network works with less, and warn once where that is not enough."""
        governor = self.pipeline.governor
        used, limit = governor.over_limit, governor.cpu_limit
        if used is not None:
            words = words_over_limit(used, limit, self._context.info)
            if self._warned_limit != limit:
                self._warned_limit = limit
                logger.warning("%s", words)
            return words
        return (LIMITED if governor.limited else EASED) if governor.reduced else None

    def _judge(self) -> tuple[State, str | None]:
        """Say what viewers see, and why."""
        pipeline, outputs = self.pipeline, self.pipeline.outputs
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
            return State.STARTING, fault
        return State.DEGRADED, stopped_by or self._why_late()

    def _why_late(self) -> str:
        """Say what viewers wait for, before it counts as hanging."""
        pipeline = self.pipeline
        if pipeline.camera.silent_s > SILENT_S:
            return f"the camera gives no picture for {pipeline.camera.silent_s:.1f} s"
        for part in (pipeline.matting, pipeline.compositing):
            if part.busy_s > SILENT_S:
                return f"the {part.name} has been busy with one picture for {part.busy_s:.1f} s"
        return TOO_LATE

    def _draw_previews(self, status: LiveStatus) -> None:
        shown = self.pipeline.outputs.shown
        if shown is None:
            return
        for preview in list(self._previews):
            try:
                view: View = getattr(preview, "view", "output")
                frame = shown.frame
                if view != "output":
                    frame = replace(frame, image=view_image(self.pipeline, view))
                preview.show(frame, status)
            except Exception as error:  # the output matters more than the preview
                self._previews.remove(preview)
                _close(preview)
                if self.config.needs_preview and not self._previews:  # nobody could see the run
                    self._context.fail(error)
                    return
                logger.warning("the preview is over: %s", error)

    def _report(self) -> LiveReport:
        outputs = self.pipeline.outputs
        return LiveReport(
            frames=outputs.frames,
            repeated=outputs.repeated,
            fallback_frames=outputs.fallback_frames,
            dropped=self.pipeline.dropped,
            faults=self._context.faults.count,
            seconds=outputs.last_s - outputs.first_s,
            latencies_s=list(outputs.latencies_s),
        )


def _close(preview: Preview) -> None:
    """Close a preview that may be broken."""
    try:
        preview.close()
    except Exception as error:
        logger.debug("the preview does not close", exc_info=error)
