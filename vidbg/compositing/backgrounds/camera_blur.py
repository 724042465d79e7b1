"""Backgrounds made of the camera's own frame, and the first of them: the room out of focus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.compositing.backgrounds.base import Background
from vidbg.compositing.blend import in_colours
from vidbg.compositing.scaling import resize, shrink
from vidbg.frame import Alpha, Frame, Image

# The Gaussian's sigma as a share of the image's shorter side: 2 % at strength 20, 6 % at 100
BASE_SIGMA = 0.01
SIGMA_PER_STRENGTH = 0.0005

COARSE, FINE = 90, 180  # minimum lines of the grid on which the image is blurred: the cost is flat
MIN_SIGMA_PX = 2.0  # with a smaller sigma on a grid, its pixels show in the enlarged result
MARGIN = 0.011  # share of the shorter side by which the person's colours may pass their matte
REACH = 0.25  # share of the shorter side that the fallback's window covers
FAINT = 1e-3  # weight of the fallback where a window contains nothing of the room
EMPTY = 1e-6  # keeps a window without any weight from dividing by zero


Blur = Callable[[NDArray[np.float32]], Any]
"""Blurs float32 (h, w, 3)."""


BlurRoom = Callable[[Image, Alpha, float, float], Image]
"""Blurs an image without its person, by strength and zoom; see `blur_background`."""


class CameraBackground(Background):
    """Background made of the camera's own frame, blurred without the person.

    Args:
        blur: how it is blurred.
        strength: 20 to 100.
    """

    def __init__(self, blur: BlurRoom, strength: float) -> None:
        self._blur, self._strength = blur, strength

    def at(self, frame: Frame, alpha: Alpha) -> Image:
        return self._blur(frame.image, alpha, self._strength, frame.zoom)


def blur_background(image: Image, alpha: Alpha, strength: float, zoom: float = 1.0) -> Image:
    """Blur an image without its person (normalised convolution).

    Each pixel becomes blur(image * room) / blur(room), where room is 1 - alpha, pulled back a
    little from the person so that their colours do not shine into the room around them (Knutsson
    and Westin, "Normalized and Differential Convolution", CVPR 1993). Under the person lie the
    colours that surround them. At 1280x720 it takes 1.6 ms on one core of a Xeon, 2.5 ms below
    strength 25.

    The Gaussian is a share of the camera's picture, so that 720 and 1080 lines hide equally much of
    a room, and a zoom brings nothing back: it is as if the room were blurred first. At strength 20,
    the lowest that `BlurSpec` accepts, details with a period of 1/20 of the shorter side (a third
    of a face 1.3 m from a usual webcam, or letters 6 cm high next to it) keep 4 % of their
    contrast, and those of 1/30 nothing.

    Args:
        image: uint8 (H, W, 3), BGR.
        alpha: float32 (H, W) in [0, 1].
        strength: 20 to 100.
        zoom: how many times the image has been enlarged, at least 1.
    Returns:
        uint8 (H, W, 3), BGR; a new array.
    """
    sigma = zoom * (BASE_SIGMA + SIGMA_PER_STRENGTH * strength)
    lines = COARSE if sigma * COARSE >= MIN_SIGMA_PX else FINE
    room = in_colours(room_weight(shrink(alpha, lines)))
    weighted = shrink(image, lines).astype(np.float32) * room
    sigma_px = sigma * min(room.shape[:2])
    blurred = normalised(weighted, room, lambda plane: cv2.GaussianBlur(plane, (0, 0), sigma_px))
    return resize(blurred, *alpha.shape)


def room_weight(alpha: Alpha) -> Alpha:
    """Weight each pixel, float32 (h, w), as the room's: less near the matte or where it is soft."""
    side = 2 * max(1, round(MARGIN * min(alpha.shape))) + 1
    person = cv2.dilate(alpha, np.ones((side, side), np.uint8))
    return np.asarray(np.square(1 - person), np.float32)


def normalised(weighted: NDArray[np.float32], weight: NDArray[np.float32], blur: Blur) -> Image:
    """Blur colours by their weights: blur(weighted) / blur(weight).

    Where the blur's window contains nothing of weight, the mean of a wide window takes its place.

    Args:
        weighted: float32 (h, w, 3), colours in 0..255 times their weights.
        weight: float32 (h, w, 3).
    Returns:
        uint8 (h, w, 3).
    """
    side = max(1, round(REACH * min(weight.shape[:2])))
    around = cv2.blur(weighted, (side, side)) / (cv2.blur(weight, (side, side)) + EMPTY)
    mean = (blur(weighted) + FAINT * around) / (blur(weight) + FAINT)
    return np.asarray(cv2.convertScaleAbs(mean), np.uint8)
