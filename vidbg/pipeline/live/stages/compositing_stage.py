"""Second stage of the live pipeline: composites the person over the background."""

from __future__ import annotations

import time

from vidbg.compositing import CompositingConfig, Compositor
from vidbg.picture.colours import PictureColours
from vidbg.pipeline.live.appearance import Appearance, Arrived, Composited, Matted
from vidbg.pipeline.live.faults import Faults
from vidbg.pipeline.live.outputs.pacing import Backoff
from vidbg.pipeline.live.stages import stage
from vidbg.pipeline.live.stages.stage import StageWorker
from vidbg.pipeline.live.threads.replaceable_thread import Deadline
from vidbg.sources import open_frames
from vidbg.util.lifecycle import Closeable
from vidbg.util.timing import StageClock

PART = "background"


class LookCompositor(Closeable):
    """Caches the compositor of the last requested look and replaces it for another."""

    def __init__(self) -> None:
        self._compositor: Compositor | None = None
        self._made_for: CompositingConfig | None = None

    def of(self, look: Appearance) -> Compositor:
        """Return the compositor for this look.

        Raises:
            ConfigError: its background cannot be read.
        """
        if self._compositor is None or self._made_for is not look.compositing:
            self.close()
            self._compositor = Compositor(look.compositing, open_frames)
            self._made_for = look.compositing
        return self._compositor

    def close(self) -> None:
        if self._compositor is not None:
            compositor, self._compositor = self._compositor, None
            compositor.close()


class CompositingWorker(StageWorker[Matted, Composited]):
    """Composites frames; makes a new compositor for each look and after each failure.

    Args:
        faults: receives failures and recoveries.
        clock: of the stages.
        watch: times each call that may hang.
    """

    def __init__(self, faults: Faults, clock: StageClock, watch: Deadline) -> None:
        self._faults, self._clock, self._watch = faults, clock, watch
        self._compositor, self._colours = LookCompositor(), PictureColours()
        self._retry_s = 0.0
        self._backoff = Backoff(0.1, 5.0)
        self._allowed_s = stage.FIRST_PATIENCE_S

    def prepare(self) -> None:
        """Do nothing, because the first frame determines what is needed."""

    def __call__(self, matted: Matted) -> Composited | None:
        if time.monotonic() < self._retry_s:
            return None
        start = time.monotonic()
        try:
            with self._watch.over(self._allowed_s), self._clock.stage("composite"):
                shown = self._colours(matted.frame, matted.look.picture)
                frame = self._compositor.of(matted.look)(shown, matted.alpha)
        except Exception as error:
            self._faults.raised(PART, error)
            self.close()
            self._retry_s = time.monotonic() + self._backoff.next_s()
            return None
        self._allowed_s = max(stage.PATIENCE_S, stage.SLOWNESS * (time.monotonic() - start))
        self._backoff.worked()
        self._faults.cleared(PART)
        return Composited(Arrived(frame, matted.at_s), matted.look)

    def close(self) -> None:
        self._compositor.close()
