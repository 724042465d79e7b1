"""Resize images, and fit them into frames of another shape."""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.frame import Image
from vidbg.util.choices import Fit as Fit

Array = TypeVar("Array", NDArray[np.uint8], NDArray[np.float32])
"""An image, or an alpha."""


def resize(image: Array, height: int, width: int) -> Array:
    """Resize to an exact size: by pixel areas if it shrinks both ways, else linearly.

    Args:
        image: uint8 or float32, (H, W) or (H, W, C) with C up to 4.
    Returns:
        The same type at (height, width); `image` itself if it has that size already.
    """
    before = image.shape[:2]
    if before == (height, width):
        return image
    shrinks = height <= before[0] and width <= before[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized: Any = cv2.resize(image, (width, height), interpolation=method)
    return resized  # type: ignore[no-any-return]


def shrink(image: Array, lines: int) -> Array:
    """Halve until the shorter side is less than twice `lines`: halving is OpenCV's fast case."""
    while min(image.shape[:2]) >= 2 * lines:
        image = resize(image, image.shape[0] // 2, image.shape[1] // 2)
    return image


def shrinking(
    height: int, width: int, lines: int
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Return `shrink` as matrices: rows @ plane @ columns is the shrunk plane, not rounded.

    Returns:
        rows (h, height) and columns (width, w).
    """
    rows, columns = np.eye(height, dtype=np.float32), np.eye(width, dtype=np.float32)
    while min(rows.shape[0], columns.shape[1]) >= 2 * lines:
        rows = resize(rows, rows.shape[0] // 2, height)
        columns = resize(columns, width, columns.shape[1] // 2)
    return rows.astype(np.float16), columns.astype(np.float16)


def fill(
    image: Image,
    height: int,
    width: int,
    fit: Fit,
    bars: tuple[int, int, int],
    aspect: float = 1.0,
) -> Image:
    """Bring an image to a frame's size, centred and with its proportions kept.

    Args:
        image: uint8 (h, w, 3), BGR.
        fit: "cover" fills the frame and crops the rest; "contain" shows all of it between bars.
        bars: BGR colour of the bars.
        aspect: how many times as wide as the frame's pixels the image's are.
    Returns:
        uint8 (height, width, 3), BGR, C-contiguous; may be `image` itself.
    """
    if fit == "cover":
        return cover(image, height, width, aspect)
    return contain(image, height, width, bars, aspect)


def cover(image: Image, height: int, width: int, aspect: float = 1.0) -> Image:
    """Fill a frame with the middle of an image; see `fill`."""
    scale = max(height / image.shape[0], width / (image.shape[1] * aspect))
    inner_height = max(1, round(height / scale))
    inner_width = max(1, round(width / scale / aspect))
    top = max(0, image.shape[0] - inner_height) // 2
    left = max(0, image.shape[1] - inner_width) // 2
    part = image[top : top + inner_height, left : left + inner_width]
    return np.ascontiguousarray(resize(part, height, width))


def contain(
    image: Image, height: int, width: int, bars: tuple[int, int, int], aspect: float = 1.0
) -> Image:
    """Show all of an image in a frame, between bars where the shape differs; see `fill`."""
    across = image.shape[1] * aspect
    scale = min(height / image.shape[0], width / across)
    inner_height = max(1, round(image.shape[0] * scale))
    inner_width = max(1, round(across * scale))
    image = resize(image, inner_height, inner_width)
    if (inner_height, inner_width) == (height, width):
        return np.ascontiguousarray(image)
    framed = np.empty((height, width, 3), np.uint8)
    framed[:] = bars
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    framed[top : top + inner_height, left : left + inner_width] = image
    return framed


def letterbox(image: Image, height: int, width: int) -> Image:
    """Show all of an image in a frame, between black bars where the shape differs; see `fill`."""
    return contain(image, height, width, (0, 0, 0))
