"""From the network's size to the frame's, following the frame's own edges.

Fast guided filter (He and Sun, Fast Guided Filter, 2015): alpha is locally a linear function of
the picture; the function is fitted at the network's size and applied at the frame's. Only the
band of soft alpha is treated so; inside and outside of the person bilinear interpolation holds.

Measured on every second validation picture with a network input of 32768 pixels, half to a third of
the pictures' length, against bilinear, IoU: street 0.863 to 0.858, portraits equal within 0.0002; a
radius of 2 or 3 and larger epsilons lose up to 0.0015 on portraits.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.frame import Alpha, Image

RADIUS = 1
"""Of the window, in pixels at the network's size."""

EPSILON = 2e-4
"""Variance of the picture (of [0, 1]) below which it is taken as flat and alpha is not bent."""

BAND = (0.02, 0.98)
"""Alphas between these are edge."""


def upsample(alpha: Alpha, small: Image, image: Image) -> Alpha:
    """Alpha at the frame's size.

    Args:
        alpha: float32 (h, w) in [0, 1].
        small: uint8 (h, w, 3), BGR, the frame at alpha's size.
        image: uint8 (H, W, 3), BGR, the frame.
    Returns:
        float32 (H, W) in [0, 1]; a new array.
    """
    size = (image.shape[1], image.shape[0])
    if size == (alpha.shape[1], alpha.shape[0]):
        return alpha.copy()
    full = _enlarge(alpha, size)
    rows = _band_rows(alpha)
    if rows is None:
        return full
    slope, offset = _fit(alpha, _grey(small))
    bent = _enlarge(slope, size)
    cv2.multiply(bent, _grey(image), dst=bent, dtype=cv2.CV_32F)
    bent += _enlarge(offset, size)
    edge = (full > BAND[0]) & (full < BAND[1])
    np.copyto(full, np.clip(bent, 0, 1), where=edge)
    return full


def _enlarge(picture: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _grey(image: Image) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _band_rows(alpha: Alpha) -> NDArray[np.intp] | None:
    soft = np.flatnonzero(((alpha > BAND[0]) & (alpha < BAND[1])).any(axis=1))
    return soft if len(soft) else None


def _fit(alpha: Alpha, guide: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slope (per grey level) and offset of alpha over the guide, float32 (h, w) each."""
    grey: NDArray[np.float32] = guide * np.float32(1 / 255)
    mean_grey, mean_alpha = _mean(grey), _mean(alpha)
    variance = _mean(grey * grey) - mean_grey * mean_grey
    covariance = _mean(grey * alpha) - mean_grey * mean_alpha
    slope = np.asarray(covariance / (variance + np.float32(EPSILON)), np.float32)
    offset = np.asarray(mean_alpha - slope * mean_grey, np.float32)
    return _mean(slope) * np.float32(1 / 255), _mean(offset)


def _mean(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    side = 2 * RADIUS + 1
    return np.asarray(cv2.blur(picture, (side, side)), np.float32)
