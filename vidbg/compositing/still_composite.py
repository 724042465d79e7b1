"""Cache for static scenes: composites an image with the edge of an earlier composite.

While nothing moves, matting returns the same read-only alpha for every image. Then only what is
wholly person is copied from the image: the soft edge is most of the work, and its colours differ
from the earlier ones by the camera's noise alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.compositing.foreground import CompositeParts, composite_parts
from vidbg.frame import Alpha, Image

MAX_DRIFT = 1.0
"""Largest change of the edge's mean colour, in levels, at which it is used again: brightness and
colours can be adjusted while nothing moves."""


@dataclass(frozen=True, slots=True)
class _Kept:
    alpha: Alpha
    background: Image
    parts: CompositeParts
    means: list[NDArray[np.float64]]


class StillComposite:
    """Does the work of `composite_foreground` for the images of a stream, once for each alpha."""

    def __init__(self) -> None:
        self._kept: _Kept | None = None

    def __call__(self, image: Image, alpha: Alpha, background: Image) -> Image:
        """Composite the next image.

        Args:
            image: uint8 (H, W, 3), BGR.
            alpha: float32 (H, W) in [0, 1]; one that is read-only will not change.
            background: uint8 (H, W, 3), BGR; the same array has the same content.
        Returns:
            uint8 (H, W, 3), BGR; a new array.
        Raises:
            ValueError: shapes differ; the message gives both.
        """
        kept = self._kept
        if kept is not None and kept.alpha is alpha and kept.background is background:
            result = _composite_again(kept, image)
            if result is not None:
                return result
        parts = composite_parts(image, alpha, background)
        self._kept = None
        if not alpha.flags.writeable:
            means = [_mean(edge.observed) for edge in parts.edges]
            self._kept = _Kept(alpha, background, parts, means)
            return parts.image.copy()  # the caller may write to it
        return parts.image


def _composite_again(kept: _Kept, image: Image) -> Image | None:
    """Replace what is wholly person in the kept composite; None if the edge's colours changed."""
    if image.shape != kept.background.shape:
        return None
    for edge, before in zip(kept.parts.edges, kept.means, strict=True):
        if np.abs(_mean(edge.blocks.take(image)) - before).max() > MAX_DRIFT:
            return None
    result = kept.parts.image.copy()
    for part in kept.parts.opaque:
        result[part] = image[part]
    return result


def _mean(colours: Image) -> NDArray[np.float64]:
    """Mean colour (3,) of blocks."""
    return np.array(cv2.mean(colours)[:3])
