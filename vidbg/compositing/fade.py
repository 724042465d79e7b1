"""Gradual change from one background to another."""

from __future__ import annotations

from vidbg.compositing.backgrounds import Background
from vidbg.compositing.blend import faded
from vidbg.errors import SourceError
from vidbg.frame import Alpha, Frame, Image


class Fade:
    """A background that disappears; it starts with the first frame that it is asked for.

    Args:
        old: the background; closed with the fade.
        seconds: how long it takes, above 0.
    Attributes:
        over: nothing of the old background is left.
    """

    def __init__(self, old: Background, seconds: float) -> None:
        self._old, self._seconds = old, seconds
        self._start_s: float | None = None
        self.over = False

    def at(self, frame: Frame, alpha: Alpha, new: Image) -> Image:
        """Return the old background behind a frame, mixed with the new one's image."""
        if self._start_s is None:
            self._start_s = frame.pts
        share = (frame.pts - self._start_s) / self._seconds
        if not 0 <= share < 1:
            self.over = True
            return new
        try:
            return faded(self._old.at(frame, alpha), new, share)
        except SourceError:  # it is disappearing anyway
            self.over = True
            return new

    def close(self) -> None:
        """Release the old background's file; may be called more than once."""
        self._old.close()
