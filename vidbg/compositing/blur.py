"""The room behind the person, out of focus, without the person's colours in it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.compositing.scaling import resize, shrink
from vidbg.frame import Alpha, Image

BASE_SIGMA = 0.01  # of the Gaussian, as a share of the picture's shorter side
SIGMA_PER_STRENGTH = 0.0005  # added to it: 2 % at the least strength, 20, and 6 % at 100
COARSE, FINE = 90, 180  # least lines of the grid on which is blurred, so that the cost is flat
LEAST_SIGMA_PX = 2.0  # on a grid where the sigma is smaller the enlarged result shows its pixels
MARGIN = 0.011  # share of the shorter side by which the person's colours may pass their matte
REACH = 0.25  # share of the shorter side that the fallback's window spans
FAINT = 1e-3  # weight of the fallback where a window holds nothing of the room
EMPTY = 1e-6  # keeps a window without any weight from dividing by zero

Colours = NDArray[np.float32]


def blur_background(image: Image, alpha: Alpha, strength: float) -> Image:
    """Blur a picture while leaving the person out of it (normalised convolution).

    Each pixel becomes blur(image * room) / blur(room), where room is 1 - alpha drawn back a little
    from the person, so that their colours do not shine into the room around them (Knutsson and
    Westin, "Normalized and Differential Convolution", CVPR 1993). Under the person lies what
    surrounds them. At 1280x720 it takes 1.6 ms on one core of a Xeon, below strength 25 2.5.

    The Gaussian is a share of the picture's size, so that as much is left of a room at 720 lines as
    at 1080. At strength 20, the least that a BlurSpec takes, details with a period of a twentieth
    of the shorter side (a third of a face 1.3 m from a usual webcam; letters 6 cm high beside it)
    keep 4 % of their contrast, those of a thirtieth nothing.

    Args:
        image: uint8 (H, W, 3), BGR.
        alpha: float32 (H, W) in [0, 1].
        strength: 20 to 100, as a BlurSpec has it.
    Returns:
        uint8 (H, W, 3), BGR; a new array.
    """
    sigma = BASE_SIGMA + SIGMA_PER_STRENGTH * strength
    lines = COARSE if sigma * COARSE >= LEAST_SIGMA_PX else FINE
    colours = shrink(image, lines).astype(np.float32)
    blurred = _blur_room(colours, _room(shrink(alpha, lines)), sigma * min(colours.shape[:2]))
    return resize(np.asarray(cv2.convertScaleAbs(blurred), np.uint8), *alpha.shape)


def _room(alpha: Alpha) -> Colours:
    """Weight (h, w, 3) of each pixel as the room's, drawn back from where the matte is soft."""
    side = 2 * max(1, round(MARGIN * min(alpha.shape))) + 1
    person = cv2.dilate(alpha, np.ones((side, side), np.uint8))
    return np.repeat(np.square(1 - person)[:, :, np.newaxis], 3, axis=2).astype(np.float32)


def _blur_room(colours: Colours, room: Colours, sigma_px: float) -> Colours:
    weighted = colours * room
    side = max(1, round(REACH * min(room.shape[:2])))
    around = cv2.blur(weighted, (side, side)) / (cv2.blur(room, (side, side)) + EMPTY)
    total = cv2.GaussianBlur(room, (0, 0), sigma_px) + FAINT
    part = cv2.GaussianBlur(weighted, (0, 0), sigma_px) + FAINT * around
    return np.asarray(part / total, np.float32)
