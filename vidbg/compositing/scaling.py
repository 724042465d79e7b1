"""Pictures at other sizes."""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.choices import Fit as Fit
from vidbg.frame import Image

Picture = TypeVar("Picture", NDArray[np.uint8], NDArray[np.float32])


def resize(picture: Picture, height: int, width: int) -> Picture:
    """Resize to exactly that size: by pixel areas where it shrinks, else linearly.

    Args:
        picture: uint8 or float32, (H, W) or (H, W, C) with C up to 4.
    Returns:
        The same type at (height, width); `picture` itself where it has that size already.
    """
    before = picture.shape[:2]
    if before == (height, width):
        return picture
    shrinks = height <= before[0] and width <= before[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized: Any = cv2.resize(picture, (width, height), interpolation=method)
    return resized  # type: ignore[no-any-return]


def shrink(picture: Picture, lines: int) -> Picture:
    """Halve until the shorter side is less than twice `lines`: halving is OpenCV's fast case."""
    while min(picture.shape[:2]) >= 2 * lines:
        picture = resize(picture, picture.shape[0] // 2, picture.shape[1] // 2)
    return picture


def shrinking(
    height: int, width: int, lines: int
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """`shrink` as matrices: rows @ plane @ columns is the shrunk plane, not rounded.

    Returns:
        rows (h, height) and columns (width, w).
    """
    rows, columns = np.eye(height, dtype=np.float32), np.eye(width, dtype=np.float32)
    while min(rows.shape[0], columns.shape[1]) >= 2 * lines:
        rows = resize(rows, rows.shape[0] // 2, height)
        columns = resize(columns, width, columns.shape[1] // 2)
    return rows.astype(np.float16), columns.astype(np.float16)


def fill(
    picture: Image,
    height: int,
    width: int,
    fit: Fit,
    bars: tuple[int, int, int],
    aspect: float = 1.0,
) -> Image:
    """Bring a picture to a frame's size, its proportions kept and itself in the middle.

    Args:
        picture: uint8 (h, w, 3), BGR.
        fit: "cover" fills the frame and crops what is left over; "contain" shows all between bars.
        bars: BGR colour of the bars.
        aspect: how many times as wide as the frame's pixels the picture's are.
    Returns:
        uint8 (height, width, 3), BGR, C-contiguous; maybe `picture` itself.
    """
    across = picture.shape[1] * aspect
    ratios = height / picture.shape[0], width / across
    scale = max(ratios) if fit == "cover" else min(ratios)
    if fit == "cover":
        picture = _cut_middle(picture, round(height / scale), round(width / scale / aspect))
        return np.ascontiguousarray(resize(picture, height, width))
    inner = max(1, round(picture.shape[0] * scale)), max(1, round(across * scale))
    return _with_bars(resize(picture, *inner), height, width, bars)


def _cut_middle(picture: Image, height: int, width: int) -> Image:
    top = (picture.shape[0] - height) // 2
    left = (picture.shape[1] - width) // 2
    return picture[top : top + max(1, height), left : left + max(1, width)]


def _with_bars(picture: Image, height: int, width: int, colour: tuple[int, int, int]) -> Image:
    above = height - picture.shape[0]
    beside = width - picture.shape[1]
    if not above and not beside:
        return np.ascontiguousarray(picture)
    framed = np.empty((height, width, 3), np.uint8)
    framed[:] = colour
    top, left = above // 2, beside // 2
    framed[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return framed
