"""Supervises a live run: threads that hang, viewers, previews and status.

What moves the frames is in `pipeline.py`. The output never stops and never shows the room: a frame
that cannot be composited is replaced by the background or a slate. The caller's thread draws the
previews and supervises the others.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidbg.frame import Image
from vidbg.pipeline.live.appearance import Appearance
from vidbg.pipeline.live.history import History
from vidbg.pipeline.live.outputs.recorder import Recorder
from vidbg.pipeline.live.pipeline import LivePipeline
from vidbg.pipeline.live.previews.shown_previews import Preview, Previews
from vidbg.pipeline.live.status import LiveReport, LiveStatus
from vidbg.pipeline.live.status_reporter import StatusReporter
from vidbg.util.timing import StageClock

logger = logging.getLogger(__name__)

CHECK_PERIOD_S = 0.1
"""Interval between two checks of threads, viewers and state."""

STANDSTILL_S = 1.0
"""An iteration longer than this means that the process did not run."""

UNWATCHED_S = 5.0
"""Delay before the camera is closed after the last reader leaves: programs probe cameras by opening
them briefly, and a reopened meeting window does so twice."""

PATIENCE_S = 3.0
"""Wait for a thread that hangs at the end of the run."""


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
        self._previews, self._on_status = Previews(previews, pipeline), on_status
        self._reporter = StatusReporter(pipeline)
        self.recorder = Recorder(pipeline.outputs, pipeline.context)
        self._round_s = self._watched_s = time.monotonic()
        self._switching_camera = threading.Lock()

    @property
    def history(self) -> History:
        """What the run did in the last ten minutes."""
        return self._reporter.history

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
                frame_s = self._context.period_s if self._previews.smooth else CHECK_PERIOD_S
                ending.wait(min(CHECK_PERIOD_S, frame_s))
        finally:
            self.recorder.close()
            pipeline.stop(PATIENCE_S)
            self._previews.close()
        if self._context.failure is not None:
            raise self._context.failure
        return self._reporter.report()

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
        status = self._reporter.status(watched)
        if self._on_status is not None:
            self._on_status(status)
        ended = self._previews.show(status)
        if ended is not None and self.config.needs_preview:  # nobody could see the run
            self._context.fail(ended)
        elif ended is not None:
            logger.warning("the preview is over: %s", ended)

    def _follow_viewers(self, now: float) -> bool | None:
        """Open the camera if it is needed, and close it some time after the last viewer leaves."""
        pipeline, watched = self.pipeline, self.pipeline.outputs.watched()
        if watched is not False or self._previews.watch or not self.config.on_demand:
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
