"""Where masks put the edge of a person: measured against an alpha, and shifted.

Sets disagree on where a person ends, because their masks were drawn, keyed or computed in different
ways. A network that sees all of them learns the middle. A fixed shift for each set brings their
masks to one convention; keyed alpha, which is measured and not drawn, is the reference.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.image_sets import Mask
from vidbg.frame import Alpha

UNIT_PIXELS = 86016
"""Shifts are in pixels of an image of this size, the usual size of the network's input."""

MAX_SHIFT = 4.0
"""Larger shifts, in either direction, are taken for a mistake."""

_BAND = 3
"""Pixels on each side of the mask's edge in which alpha is compared, at the size measured."""


def shift_edge(mask: Mask, pixels: float) -> Mask:
    """Move a mask's edge outwards, or inwards if `pixels` is negative.

    A soft edge keeps its profile. A fraction of a pixel blends two whole shifts, so that the
    person's area changes by the edge's length times `pixels`.

    Args:
        mask: uint8 (H, W).
        pixels: of an image of UNIT_PIXELS; the mask's own size is taken into account.
    Returns:
        uint8 (H, W); the same array if `pixels` is 0.
    """
    if pixels == 0:
        return mask
    distance = abs(pixels) * (mask.size / UNIT_PIXELS) ** 0.5
    move = cv2.dilate if pixels > 0 else cv2.erode
    near, far = (
        mask if steps == 0 else move(mask, _disk(steps))
        for steps in (int(distance), int(distance) + 1)
    )
    share = distance % 1
    return np.asarray(cv2.addWeighted(near, 1 - share, far, share, 0), np.uint8)


def _disk(radius: int) -> NDArray[np.uint8]:
    # OpenCV's ellipse of radius 1 is a cross, as it should be; wider ones are round
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def edge_offset(mask: Alpha, alpha: Alpha) -> float | None:
    """Measure how far a mask's edge lies outside an alpha's, in pixels.

    It is the difference of the areas near the mask's edge over the edge's length.

    Args:
        mask, alpha: float32 (h, w) in [0, 1].
    Returns:
        None if the mask has no edge.
    """
    length = float(np.hypot(*np.gradient(mask)).sum())
    near = cv2.dilate(mask, _disk(_BAND)) - cv2.erode(mask, _disk(_BAND)) > 0.5
    if length < 1 or not near.any():
        return None
    return float((mask - alpha)[near].sum()) / length
