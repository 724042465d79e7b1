"""The compositor of one thread, which follows the look."""

from __future__ import annotations

from vidbg.compositing import CompositingConfig, Compositor
from vidbg.pipeline.live.appearance import Appearance
from vidbg.sources import open_frames
from vidbg.util.lifecycle import Closeable


class LookCompositor(Closeable):
    """Keeps one compositor and changes it for another look."""

    def __init__(self) -> None:
        self._compositor: Compositor | None = None
        self._made_for: CompositingConfig | None = None

    def of(self, look: Appearance) -> Compositor:
        """Return the compositor for this look.

        Raises:
            ConfigError: its background cannot be read.
        """
        if self._compositor is None:
            self._compositor = Compositor(look.compositing, open_frames)
        elif self._made_for is not look.compositing:
            self._compositor.change(look.compositing)
        self._made_for = look.compositing
        return self._compositor

    def close(self) -> None:
        if self._compositor is not None:
            compositor, self._compositor = self._compositor, None
            compositor.close()
