"""The room behind the person, out of focus, without the person's colours in it."""

from __future__ import annotations

import cv2
import numpy as np

from vidbg.compositing.backgrounds.base import Background
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


class BlurredRoom(Background):
    """Background made of the camera's own frame, blurred without the person.

    Args:
        strength: 20 to 100.
    """

    def __init__(self, strength: float) -> None:
        self._strength = strength

    def at(self, frame: Frame, alpha: Alpha) -> Image:
        return blur_background(frame.image, alpha, self._strength)


def blur_background(image: Image, alpha: Alpha, strength: float) -> Image:
    """Blur an image without its person (normalised convolution).

    Each pixel becomes blur(image * room) / blur(room), where room is 1 - alpha, pulled back a
    little from the person so that their colours do not shine into the room around them (Knutsson
    and Westin, "Normalized and Differential Convolution", CVPR 1993). Under the person lie the
    colours that surround them. At 1280x720 it takes 1.6 ms on one core of a Xeon, 2.5 ms below
    strength 25.

    The Gaussian is a share of the image's size, so that 720 and 1080 lines hide equally much of a
    room. At strength 20, the lowest that `BlurSpec` accepts, details with a period of 1/20 of the
    shorter side (a third of a face 1.3 m from a usual webcam, or letters 6 cm high next to it) keep
    4 % of their contrast, and those of 1/30 nothing.

    Args:
        image: uint8 (H, W, 3), BGR.
        alpha: float32 (H, W) in [0, 1].
        strength: 20 to 100.
    Returns:
        uint8 (H, W, 3), BGR; a new array.
    """
    sigma = BASE_SIGMA + SIGMA_PER_STRENGTH * strength
    lines = COARSE if sigma * COARSE >= MIN_SIGMA_PX else FINE
    colours = shrink(image, lines).astype(np.float32)
    alpha_small = shrink(alpha, lines)
    shorter = min(alpha_small.shape)

    # Weight (h, w, 3) of each pixel as the room's, pulled back from where the matte is soft
    side = 2 * max(1, round(MARGIN * shorter)) + 1
    person = cv2.dilate(alpha_small, np.ones((side, side), np.uint8))
    weight = np.square(1 - person)[:, :, np.newaxis]
    room = np.repeat(weight, 3, axis=2).astype(np.float32)

    # Where the Gaussian contains nothing of the room, the mean of a wide window takes its place
    weighted = colours * room
    side = max(1, round(REACH * shorter))
    around = cv2.blur(weighted, (side, side)) / (cv2.blur(room, (side, side)) + EMPTY)
    total = cv2.GaussianBlur(room, (0, 0), sigma * shorter) + FAINT
    part = cv2.GaussianBlur(weighted, (0, 0), sigma * shorter) + FAINT * around
    blurred = np.asarray(part / total, np.float32)
    return resize(np.asarray(cv2.convertScaleAbs(blurred), np.uint8), *alpha.shape)
