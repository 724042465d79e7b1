"""Second stage of the live pipeline: composites the person over the background."""

from __future__ import annotations

import time

from vidbg.picture.colours import PictureColours
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.live_frames import Arrived, Composited, Matted
from vidbg.pipeline.live.outputs.output_gate import OutputGate
from vidbg.pipeline.live.stages import stage
from vidbg.pipeline.live.stages.look_compositor import LookCompositor
from vidbg.pipeline.live.stages.stage import Stage, StageWorker
from vidbg.pipeline.live.threads.backoff import Backoff
from vidbg.pipeline.live.threads.replaceable_thread import Deadline

PART = "background"


class CompositingStage(Stage[Matted, Composited]):
    """Composites frames and passes them to the output gate.

    Args:
        gate: receives the composited frames.
        context: of the run.
    """

    def __init__(self, gate: OutputGate, context: RunContext) -> None:
        super().__init__(PART, context)
        self._gate = gate

    def make_worker(self, deadline: Deadline) -> CompositingWorker:
        return CompositingWorker(self._context, deadline)

    def deliver(self, result: Composited) -> None:
        """Pass a composited frame to the outputs; one from a GPU needs no compositing here."""
        self._gate.deliver(result)


class CompositingWorker(StageWorker[Matted, Composited]):
    """Composites frames; makes a new compositor for each look and after each failure.

    Args:
        context: of the run.
        deadline: times each call that may hang.
    """

    def __init__(self, context: RunContext, deadline: Deadline) -> None:
        self._context, self._deadline = context, deadline
        self._compositor, self._colours = LookCompositor(), PictureColours()
        self._session = 0
        self._retry_s = 0.0
        self._backoff = Backoff(0.1, 5.0)
        self._allowed_s = stage.FIRST_PATIENCE_S

    def prepare(self) -> None:
        """Do nothing, because the first frame determines what is needed."""

    def __call__(self, matted: Matted) -> Composited | None:
        if time.monotonic() < self._retry_s:
            return None
        # The look of now is newer than the alpha, so that a change is seen sooner
        look = self._context.look
        if not look.fits_alpha_of(matted.look):
            look = matted.look
        if matted.session != self._session:  # the light of another room
            self._session = matted.session
            self._colours.reset()
        try:
            # Opening another background may take a while, one frame takes about as long as the last
            with self._deadline.over(stage.FIRST_PATIENCE_S):
                compositor = self._compositor.of(look)
            start = time.monotonic()
            with self._deadline.over(self._allowed_s), self._context.clock.stage("composite"):
                frame = compositor(self._colours(matted.frame, look.picture), matted.alpha)
        except Exception as error:
            # The background is opened anew after a while; until then frames go no further
            self._context.faults.raised(PART, error)
            self.close()
            self._retry_s = time.monotonic() + self._backoff.next_s()
            return None
        self._allowed_s = max(stage.PATIENCE_S, stage.SLOWNESS * (time.monotonic() - start))
        self._backoff.worked()
        self._context.faults.cleared(PART)
        return Composited(Arrived(frame, matted.at_s, matted.session), look)

    def close(self) -> None:
        self._compositor.close()
