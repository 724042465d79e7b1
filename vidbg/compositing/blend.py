"""The blend itself: person over background."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.frame import Alpha, Image

TILE_PX = 64

_OVERSHOOT = 0.01
"""How far outside of [0, 1] an alpha may lie: resizing with a cubic filter overshoots."""


def composite(image: Image, alpha: NDArray[Any], background: Image) -> Image:
    """Blend a foreground image over a background, per pixel.

    Args:
        image: uint8 (H, W, 3), BGR.
        alpha: (H, W); 1 keeps the image. Floats are in [0, 1], uint8 is 0 to 255, and bool is a
            hard mask. Floats that overshoot by up to 0.01 are clipped.
        background: uint8 (H, W, 3), BGR, already at frame size.
    Returns:
        uint8 (H, W, 3), BGR, rounded to nearest; a new array.
    Raises:
        ValueError: an array has another type or shape, is empty, or the alpha is out of range; the
            message says what came and what is allowed.
    """
    for name, picture in (("image", image), ("background", background)):
        _check_picture(name, picture)
    weights = _as_alpha(alpha)
    return blend(np.ascontiguousarray(image), weights, np.ascontiguousarray(background))


def blend(image: Image, alpha: Alpha, background: Image) -> Image:
    """Composite arrays of the right types and values: for inner loops.

    Only tiles that hold a soft edge are computed; the others are copied. At 1280x720 on one core
    of a Xeon, in one run, a matte with 3 % soft pixels: 1.3 ms (1.7 with loose hair), against 3.2
    for OpenCV's blendLinear on the whole frame, 2.3 for gathering the soft pixels, 4.8 in 16-bit
    differences, 6.8 and more in floats. Tiles of 64 to 96 pixels are equally fast, 32 half as.

    Args:
        image, background: uint8 (H, W, 3), BGR, C-contiguous.
        alpha: float32 (H, W) in [0, 1], C-contiguous; 1 keeps the image.
    Returns:
        uint8 (H, W, 3), BGR, rounded to nearest; a new array.
    Raises:
        ValueError: shapes differ; the message gives both.
    """
    _check_sizes(image, alpha, background)
    result = background.copy()
    for tile in _tiles(alpha.shape):
        part = alpha[tile]
        least, most, _, _ = cv2.minMaxLoc(part)
        if least == 1:
            result[tile] = image[tile]
        elif most > 0:
            cv2.blendLinear(image[tile], background[tile], part, 1 - part, dst=result[tile])
    return result


def flatten(image: Image, alpha: Alpha | None, behind: tuple[int, int, int]) -> Image:
    """A picture over one BGR colour; `image` itself where it has no alpha."""
    if alpha is None:
        return image
    return blend(image, alpha, np.full(image.shape, behind, np.uint8))


def _check_picture(name: str, picture: object) -> None:
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
        kind = getattr(picture, "dtype", type(picture).__name__)
        raise ValueError(f"the {name} is {kind}; it must be a uint8 array of the shape (H, W, 3)")
    if picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(f"the {name} has the shape {picture.shape}; it must be (H, W, 3)")


def _as_alpha(alpha: object) -> Alpha:
    """The alpha as float32 in [0, 1]."""
    allowed = "allowed are floats in [0, 1], uint8 in 0 to 255, and bool"
    if not isinstance(alpha, np.ndarray):
        raise ValueError(f"the alpha is {type(alpha).__name__}, not an array (H, W); {allowed}")
    if alpha.dtype == np.bool_:
        return np.ascontiguousarray(alpha, np.float32)
    if alpha.dtype == np.uint8:
        return np.ascontiguousarray(alpha / np.float32(255), np.float32)
    if alpha.dtype.kind != "f":
        raise ValueError(f"the alpha is {alpha.dtype}; {allowed}")
    if not alpha.size:
        raise ValueError(f"the alpha is empty, {alpha.shape}; it must be (H, W)")
    least, most = float(alpha.min()), float(alpha.max())  # NaN anywhere makes both NaN
    if not (least >= -_OVERSHOOT and most <= 1 + _OVERSHOOT):
        if most != most:
            raise ValueError(f"the alpha holds NaN; {allowed}")
        step = "; divide it by 255" if least >= 0 and 1 < most <= 255 else ""
        raise ValueError(
            f"the {alpha.dtype} alpha has values from {least:g} to {most:g}; {allowed}{step}"
        )
    clipped = alpha if least >= 0 and most <= 1 else np.clip(alpha, 0, 1)
    return np.ascontiguousarray(clipped, np.float32)


def _check_sizes(image: Image, alpha: Alpha, background: Image) -> None:
    if image.shape != background.shape:
        raise ValueError(f"image {image.shape} and background {background.shape} differ in shape")
    if image.shape[:2] != alpha.shape:
        raise ValueError(f"image {image.shape} and alpha {alpha.shape} differ in size")


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    for top in range(0, shape[0], TILE_PX):
        for left in range(0, shape[1], TILE_PX):
            yield np.s_[top : top + TILE_PX, left : left + TILE_PX]
