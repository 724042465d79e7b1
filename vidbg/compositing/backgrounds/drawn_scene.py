"""A scene behind the person."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from vidbg.compositing.backgrounds.base import Background
from vidbg.compositing.scenes import draw_scene
from vidbg.frame import Alpha, Frame, Image


class DrawnScene(Background):
    """A scene, drawn for the size of the first frame and again when that changes.

    Args:
        name: see `DRAWINGS` in vidbg/compositing/scenes.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._image: Image = np.empty((0, 0, 3), np.uint8)
        self._drawn_for: tuple[int, int, Fraction] | None = None

    def at(self, frame: Frame, _alpha: Alpha) -> Image:
        wanted = frame.height, frame.width, frame.pixel_aspect
        if self._drawn_for != wanted:
            self._image, self._drawn_for = draw_scene(self._name, *wanted), wanted
        return self._image
