"""The room behind the person as a wide lens shows it: lights become discs."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.compositing.backgrounds.camera_blur import (
    COARSE,
    EMPTY,
    FINE,
    normalised,
    room_weight,
)
from vidbg.compositing.blend import in_colours
from vidbg.compositing.scaling import resize, shrink
from vidbg.frame import Alpha, Image

# The disc's radius as a share of the image's shorter side: 5 % at strength 20, 11 % at 100
BASE_RADIUS = 0.035
RADIUS_PER_STRENGTH = 0.00075

SIGMA = 0.011
"""Of the Gaussian before the disc, as a share of the shorter side. A disc alone lets fine patterns
through, with their contrast inverted: 6 % of it at strength 20 where letters are 3 cm high."""

HIGHLIGHT = 25.0
"""Additional weight of white, which falls with the third power of the grey level: a lamp fills its
disc as it does in a photo, where it is far brighter than white."""


def bokeh_background(image: Image, alpha: Alpha, strength: float, zoom: float = 1.0) -> Image:
    """Blur an image without its person by a disc (normalised convolution, see `blur_background`).

    What hides the room is a Gaussian and the disc, one after the other: at strength 20 stripes with
    a period of 1/20 of the shorter side keep at most 5 % of their contrast, those of 1/30 1 %.

    Args:
        image: uint8 (H, W, 3), BGR.
        alpha: float32 (H, W) in [0, 1].
        strength: 20 to 100.
        zoom: how many times the image has been enlarged, at least 1; both grow with it.
    Returns:
        uint8 (H, W, 3), BGR; a new array.
    """
    # Gaussian on the fine grid; the lights stand out only after it, or fine patterns would shimmer
    room = room_weight(shrink(alpha, FINE))
    sigma_px = zoom * SIGMA * min(room.shape)
    weighted = shrink(image, FINE).astype(np.float32) * in_colours(room)
    support = cv2.GaussianBlur(room, (0, 0), sigma_px) + EMPTY
    colours = cv2.GaussianBlur(weighted, (0, 0), sigma_px) / in_colours(support)
    bright = cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY) / 255
    boost = 1 + HIGHLIGHT * bright * np.square(bright)
    weight = in_colours(np.asarray(support * boost, np.float32))

    # Disc on the coarse grid
    weighted, weight = shrink(colours * weight, COARSE), shrink(weight, COARSE)
    shorter = min(weight.shape[:2])
    kernel = disc(zoom * (BASE_RADIUS + RADIUS_PER_STRENGTH * strength) * shorter)
    small = normalised(weighted, weight, lambda plane: cv2.filter2D(plane, -1, kernel))
    size = alpha.shape[1], alpha.shape[0]
    if min(alpha.shape) <= shorter:
        return resize(small, *alpha.shape)
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), np.uint8)


@lru_cache(maxsize=4)
def disc(radius_px: float) -> NDArray[np.float32]:
    """Return a disc with a soft edge of one pixel, float32 (2n + 1, 2n + 1), whose sum is 1."""
    reach = int(np.ceil(radius_px))
    down, across = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius_px + 0.5 - np.hypot(down, across), 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)
