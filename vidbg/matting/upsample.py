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
"""Alphas from the first to the second are edge."""

GREY = np.array([0.114, 0.587, 0.299], np.float32)
"""Weights of blue, green and red in the guide (ITU-R BT.601)."""

SAMPLED_ROW = 1024


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
    full: Alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR), np.float32)
    points = cv2.findNonZero(cv2.inRange(full, *BAND))
    if points is not None:
        columns, rows = np.asarray(points, np.int32).reshape(-1, 2).T
        line = _sample(_fit(alpha, small), columns, rows, full.shape)
        where = rows * size[0] + columns  # flat: five times as fast as two indices
        grey = np.take(image.reshape(-1, 3), where, axis=0) @ GREY
        np.put(full, where, np.clip(line[:, 0] * grey + line[:, 1], 0, 1))
    return full


def _sample(
    coarse: NDArray[np.float32],
    columns: NDArray[np.int32],
    rows: NDArray[np.int32],
    shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """Bilinear values (N, C) of a coarse picture (h, w, C) at N pixels of a picture of `shape`."""
    count = len(columns)
    folded = (-(-count // SAMPLED_ROW), SAMPLED_ROW)  # cv2.remap takes no side above 32767
    maps = np.zeros((2, folded[0] * folded[1]), np.float32)
    for axis, (where, side) in enumerate(((columns, 1), (rows, 0))):
        scale = coarse.shape[side] / shape[side]
        maps[axis, :count] = (where + 0.5) * scale - 0.5
    x, y = maps.reshape(2, *folded)
    values = cv2.remap(coarse, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, np.float32).reshape(-1, coarse.shape[2])[:count]


def _fit(alpha: Alpha, small: Image) -> NDArray[np.float32]:
    """Slope (per grey level) and offset of alpha over the picture, float32 (h, w, 2)."""
    grey = (small @ GREY) * np.float32(1 / 255)
    mean_grey, mean_alpha = _mean(grey), _mean(alpha)
    variance = _mean(grey * grey) - mean_grey * mean_grey
    covariance = _mean(grey * alpha) - mean_grey * mean_alpha
    slope = covariance / (variance + np.float32(EPSILON))
    offset = mean_alpha - slope * mean_grey
    return _mean(np.dstack([slope * np.float32(1 / 255), offset]))


def _mean(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    side = 2 * RADIUS + 1
    return np.asarray(cv2.blur(picture, (side, side)), np.float32)
