"""Motion between images of one stream, and alpha moved along it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.frame import Alpha

Luma = NDArray[np.uint8]
Flow = NDArray[np.float32]
"""Where each pixel comes from: offsets (x, y) in pixels, float32 (h, w, 2)."""


class Motion:
    """Optical flow between two images, by dense inverse search.

    See Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016; this is OpenCV's
    implementation. A 384 x 216 image takes about 2 ms.

    Args:
        preset: OpenCV's, from ultrafast to medium.
    """

    def __init__(self, preset: int = cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST) -> None:
        self._search = cv2.DISOpticalFlow.create(preset)

    def flow(self, now: Luma, other: Luma) -> Flow:
        """Compute where in `other` each pixel of `now` comes from; both uint8 (h, w), grey."""
        start = np.zeros((*now.shape, 2), np.float32)
        return np.asarray(self._search.calc(now, other, start), np.float32)

    def warp(self, alpha: Alpha, before: Luma, now: Luma) -> Alpha:
        """Warp the alpha of `before` to `now`.

        Args:
            alpha: float32 (h, w) in [0, 1].
            before, now: uint8 (h, w), grey.
        Returns:
            float32 (h, w) in [0, 1]; a new array.
        """
        where = pixel_grid(*now.shape) + self.flow(now, before)
        return np.asarray(sampled(alpha, where), np.float32)


@lru_cache(maxsize=2)
def pixel_grid(height: int, width: int) -> Flow:
    """Return the position (x, y) of each pixel, float32 (height, width, 2), read-only."""
    columns, rows = np.meshgrid(
        np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    )
    grid = np.dstack([columns, rows])
    grid.flags.writeable = False
    return grid


def sampled(plane: Any, where: Any, fractions: Any = None) -> Any:
    """Sample a plane at positions, bilinearly.

    Args:
        plane: (h, w) or (h, w, c), uint8 or float32.
        where: positions (x, y), float32 (h, w, 2), or what cv2.convertMaps made of them.
        fractions: the second array that cv2.convertMaps made.
    """
    return cv2.remap(plane, where, fractions, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
