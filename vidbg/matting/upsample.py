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

BLOCK_PX = 8
"""The edge is looked for in blocks of this side, in pixels of the frame."""

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
    where = _band(alpha, full)
    if where.size:
        line = _sample(_fit(alpha, small), where, full.shape)
        bent = line[:, 0] * _grey(image.reshape(-1, 3).take(where, axis=0)) + line[:, 1]
        full.reshape(-1)[where] = np.clip(bent, 0, 1)
    return full


def _band(alpha: Alpha, full: Alpha) -> NDArray[np.intp]:
    """Flat indices of the enlarged alpha's edge pixels.

    A pixel lies between the coarse ones around it, so only blocks are searched whose coarse
    neighbourhood is neither all inside nor all outside: a third of the time of searching them all.
    """
    height, width = full.shape
    lowest, highest = _extremes(alpha, full.shape)
    tops, lefts = np.nonzero((highest >= BAND[0]) & (lowest <= BAND[1]))
    # Blocks over the border are moved in; what two then share is found, and bent, twice alike
    tops = np.maximum(np.minimum(tops * BLOCK_PX, height - BLOCK_PX), 0)
    lefts = np.maximum(np.minimum(lefts * BLOCK_PX, width - BLOCK_PX), 0)
    rows = np.arange(min(BLOCK_PX, height))[:, np.newaxis]
    inside = (rows * width + np.arange(min(BLOCK_PX, width))).ravel()
    searched = (tops * width + lefts)[:, np.newaxis] + inside
    values = full.reshape(-1).take(searched)
    return searched[(values >= BAND[0]) & (values <= BAND[1])]


def _extremes(alpha: Alpha, shape: tuple[int, ...]) -> tuple[Alpha, Alpha]:
    """The least and the most that the enlarged alpha can be in each block."""
    # around its middle, coarse pixels within half a block and the next one are mixed
    middles, sides = [], []
    for coarse, fine in zip(alpha.shape, shape, strict=True):
        centres = np.arange(BLOCK_PX / 2, fine + BLOCK_PX / 2, BLOCK_PX) * (coarse / fine)
        middles.append(np.minimum(centres.astype(np.intp), coarse - 1))
        sides.append(2 * int(np.ceil(BLOCK_PX / 2 * coarse / fine) + 1) + 1)
    window = np.ones(sides, np.uint8)
    low, high = (
        np.asarray(reach(alpha, window)).take(middles[0], axis=0).take(middles[1], axis=1)
        for reach in (cv2.erode, cv2.dilate)
    )
    return low, high


def _sample(
    coarse: NDArray[np.float32], where: NDArray[np.intp], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Bilinear values (N, C) of a coarse picture (h, w, C) at N flat indices of one of `shape`."""
    count = len(where)
    folded = (-(-count // SAMPLED_ROW), SAMPLED_ROW)  # cv2.remap takes no side above 32767
    maps = np.zeros((2, folded[0] * folded[1]), np.float32)
    rows, columns = np.divmod(where.astype(np.int32), np.int32(shape[1]))
    for axis, (positions, side) in enumerate(((columns, 1), (rows, 0))):
        _positions(coarse.shape[side], shape[side]).take(positions, out=maps[axis, :count])
    x, y = maps.reshape(2, *folded)
    values = cv2.remap(coarse, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, np.float32).reshape(-1, coarse.shape[2])[:count]


def _positions(coarse: int, fine: int) -> NDArray[np.float32]:
    """Where the middles of `fine` pixels lie among `coarse` ones."""
    return ((np.arange(fine) + 0.5) * (coarse / fine) - 0.5).astype(np.float32)


def _fit(alpha: Alpha, small: Image) -> NDArray[np.float32]:
    """Slope (per grey level) and offset of alpha over the picture, float32 (h, w, 2)."""
    grey = _grey(small) * np.float32(1 / 255)
    mean_grey, mean_alpha = _mean(grey), _mean(alpha)
    variance = _mean(grey * grey) - mean_grey * mean_grey
    covariance = _mean(grey * alpha) - mean_grey * mean_alpha
    slope = covariance / (variance + np.float32(EPSILON))
    offset = mean_alpha - slope * mean_grey
    return _mean(np.asarray(cv2.merge([slope * np.float32(1 / 255), offset]), np.float32))


def _grey(colours: Image) -> NDArray[np.float32]:
    """Grey levels, not rounded, of (..., 3) BGR."""
    rows = colours.astype(np.float32).reshape(len(colours), -1, 3)
    return np.asarray(cv2.transform(rows, GREY[np.newaxis]), np.float32).reshape(colours.shape[:-1])


def _mean(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    side = 2 * RADIUS + 1
    return np.asarray(cv2.blur(picture, (side, side)), np.float32)
