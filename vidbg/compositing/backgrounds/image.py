"""A still image behind the person."""

from __future__ import annotations

from fractions import Fraction

from vidbg.compositing.backgrounds.base import Bgr
from vidbg.compositing.backgrounds.drawn import DrawnBackground
from vidbg.compositing.scaling import Fit, fill
from vidbg.frame import Image


class ImageBackground(DrawnBackground):
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
        def filled(height: int, width: int, frame_aspect: Fraction) -> Image:
            return fill(image, height, width, fit, bars, float(pixel_aspect / frame_aspect))

        super().__init__(filled)
