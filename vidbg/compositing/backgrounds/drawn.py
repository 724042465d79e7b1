"""A still image that is drawn for the size of the frame."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from vidbg.compositing.backgrounds.base import Background
from vidbg.frame import Alpha, Frame, Image


class DrawnBackground(Background):
    """An image drawn for the size of the first frame, and again when that changes.

    Args:
        draw: takes the frame's height, width and pixel aspect; returns uint8 (height, width, 3),
            BGR, a new array.
    """

    def __init__(self, draw: Callable[[int, int, Fraction], Image]) -> None:
        self._draw = draw
        self._image: Image = np.empty((0, 0, 3), np.uint8)
        self._drawn_for: tuple[int, int, Fraction] | None = None

    def at(self, frame: Frame, _alpha: Alpha) -> Image:
        wanted = frame.height, frame.width, frame.pixel_aspect
        if self._drawn_for != wanted:
            self._image, self._drawn_for = self._draw(*wanted), wanted
        return self._image
