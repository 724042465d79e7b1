"""A still image behind the person."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from vidbg.compositing.backgrounds.base import Background, Bgr
from vidbg.compositing.scaling import Fit, fill
from vidbg.frame import Alpha, Frame, Image


class ImageBackground(Background):
    """A still image, kept at the size of the last frame.

    Args:
        image: uint8 (h, w, 3), BGR, of any size.
        fit: how it fills a frame of another shape.
        bars: BGR of the bars around it.
        pixel_aspect: width of one of its pixels over the height.
    """

    def __init__(
        self, image: Image, fit: Fit, bars: Bgr, pixel_aspect: Fraction = Fraction(1)
    ) -> None:
        self._image = image
        self._fit: Fit = fit
        self._bars = bars
        self._pixel_aspect = pixel_aspect
        self._filled: Image = np.empty((0, 0, 3), np.uint8)
        self._filled_for: tuple[int, int, Fraction] | None = None

    def at(self, frame: Frame, _alpha: Alpha) -> Image:
        wanted = frame.height, frame.width, frame.pixel_aspect
        if self._filled_for != wanted:
            aspect = float(self._pixel_aspect / frame.pixel_aspect)
            self._filled = fill(self._image, *wanted[:2], self._fit, self._bars, aspect)
            self._filled_for = wanted
        return self._filled
