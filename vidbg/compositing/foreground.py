"""The person's own colours at soft edges, freed of the old background."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.frame import Alpha, Image

OPAQUE = 0.99  # from this alpha on a pixel is the person's and stays as it is
WIDE, NARROW = 90, 6  # window sides of the two passes on a picture of 720 lines
EPSILON = 1e-5  # keeps empty windows from dividing by zero: their colour is black

Colours = NDArray[np.float32]


def estimate_foreground(image: Image, alpha: Alpha) -> Image:
    """Estimate the foreground's colours, which at soft edges the camera mixed with the background.

    Blur fusion in two passes (Marco Forte, "Approximate Fast Foreground Colour Estimation",
    ICIP 2021). Outside the person the edge's colours are carried on for about the wide window;
    beyond that the result is black, so that nothing of the room remains in it.

    Args:
        image: uint8 (H, W, 3), BGR.
        alpha: float32 (H, W) in [0, 1].
    Returns:
        uint8 (H, W, 3), BGR; a new array, equal to `image` wherever alpha is 0.99 or more.
    Raises:
        ValueError: shapes differ; the message gives both.
    """
    if image.shape[:2] != alpha.shape:
        raise ValueError(f"image {image.shape} and alpha {alpha.shape} differ in size")
    observed = image.astype(np.float32)
    weight = np.repeat(alpha[:, :, np.newaxis], 3, axis=2)
    scale = min(alpha.shape) / 720
    foreground, background = _fuse(observed, observed, observed, weight, _side(WIDE, scale))
    foreground, _ = _fuse(observed, foreground, background, weight, _side(NARROW, scale))
    estimate = np.rint(foreground).astype(np.uint8)
    return np.where(weight >= OPAQUE, image, estimate)


def _side(side_px: int, scale: float) -> int:
    return max(3, round(side_px * scale))


def _fuse(
    observed: Colours, foreground: Colours, background: Colours, weight: Colours, side: int
) -> tuple[Colours, Colours]:
    """One pass: mean colours of both layers, then what is left of the observed colour."""
    mean_weight = _blur(weight, side)
    mean_foreground = _blur(foreground * weight, side) / (mean_weight + EPSILON)
    mean_background = _blur(background * (1 - weight), side) / (1 - mean_weight + EPSILON)
    residual = observed - weight * mean_foreground - (1 - weight) * mean_background
    return np.clip(mean_foreground + weight * residual, 0, 255), mean_background


def _blur(picture: Colours, side: int) -> Colours:
    return np.asarray(cv2.blur(picture, (side, side)), np.float32)
