"""Turn a frame into the network's input, and crop the network's output.

The image keeps its aspect: it is resized to fit a size whose sides are multiples of 32. The rest at
the right and the bottom is filled by repeating the last column and row.

The twin of `apply_gain` for GPUs is `vidbg.matting.full_frame.brightness_graph`. `shrinking` gives
the GPU the matrices that do what `shrink` does here, and `matting_graph` there normalises and pads.
Change both, then run `make graphs`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.errors import ConfigError
from vidbg.frame import Alpha, Image
from vidbg.util.brightness import BRIGHT_LEVEL, MAX_GAIN, bright_level
from vidbg.util.limits import MAX_PIXELS, MIN_PIXELS

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Statistics of R, G and B in [0, 1] with which the public ResNet-50 weights were trained."""

SIZE_DIVISOR = 32
"""Both sides of the network's input are multiples of this."""

UNENLARGED_PIXELS = (262144, 147456, 86016)
"""Sizes of the network's input for frames with fewer pixels than were allowed: the first that the
frame fills, or the last. Enlarged frames are worse. A clip of 360 x 288 loses a shoulder at 147456
pixels (IoU 0.907) and also at its own size (0.927), but not at 86016 (0.981)."""

NEARLY = 1.05
"""A frame with 5 % fewer pixels fills a size as well: it is enlarged by 2 %."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Placement of frames of one size in the network's input.

    Attributes:
        frame_height, frame_width: the frame's size in pixels.
        height, width: the network input's size, multiples of 32.
        content_height, content_width: the part at the top left that the frame fills.
    """

    frame_height: int
    frame_width: int
    height: int
    width: int
    content_height: int
    content_width: int


def check_image(image: Image) -> None:
    """Check that an image has the type and shape that matting takes.

    Raises:
        ValueError: it has another; the message says which.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, "dtype", type(image).__name__)
        raise ValueError(f"a picture must be a uint8 array, not {kind}")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"a picture must have the shape (H, W, 3), not {image.shape}")


def plan_geometry(frame_height: int, frame_width: int, pixels: int) -> Geometry:
    """Choose the network size of at most `pixels` pixels in which the frame is largest.

    A frame with fewer pixels gets one of UNENLARGED_PIXELS instead.

    Args:
        frame_height, frame_width: in pixels, at least 1.
        pixels: the budget for height x width of the network's input.
    Raises:
        ConfigError: the budget is outside [MIN_PIXELS, MAX_PIXELS].
    """
    if not MIN_PIXELS <= pixels <= MAX_PIXELS:
        raise ConfigError(
            f"network size of {pixels} pixels; allowed are {MIN_PIXELS} to {MAX_PIXELS}"
        )
    # Do not enlarge a frame that is smaller than the budget
    given = NEARLY * frame_height * frame_width
    if given < pixels:
        filled = (size for size in UNENLARGED_PIXELS if size <= given)
        pixels = min(pixels, next(filled, UNENLARGED_PIXELS[-1]))
    # Of all heights with the widest width that is of use, take the one that scales the frame least
    best_scale, best = 0.0, (SIZE_DIVISOR, SIZE_DIVISOR)
    for height in range(SIZE_DIVISOR, pixels // SIZE_DIVISOR + 1, SIZE_DIVISOR):
        width = pixels // height // SIZE_DIVISOR * SIZE_DIVISOR
        fitting = -(-int(height * frame_width / frame_height) // SIZE_DIVISOR) * SIZE_DIVISOR
        width = max(min(width, fitting), SIZE_DIVISOR)
        scale = min(height / frame_height, width / frame_width)
        if scale > best_scale * 1.001:
            best_scale, best = scale, (height, width)
    height, width = best
    content_height = max(1, min(height, round(frame_height * best_scale)))
    content_width = max(1, min(width, round(frame_width * best_scale)))
    return Geometry(frame_height, frame_width, height, width, content_height, content_width)


def shrink(image: Image, geometry: Geometry) -> Image:
    """Resize the frame to the content's size, uint8 (content_height, content_width, 3)."""
    for size, method in _resizes(geometry):
        image = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
    return image


def shrinking(geometry: Geometry) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Return `shrink` as matrices: rows @ plane @ columns is the shrunk plane, not rounded.

    Returns:
        rows (height, frame_height) and columns (frame_width, width); they repeat the content's
        last row and column where the network's input is larger.
    """
    rows = np.eye(geometry.frame_height, dtype=np.float32)
    columns = np.eye(geometry.frame_width, dtype=np.float32)
    for (width, height), method in _resizes(geometry):
        rows = np.asarray(cv2.resize(rows, (rows.shape[1], height), interpolation=method))
        columns = np.asarray(cv2.resize(columns, (width, columns.shape[0]), interpolation=method))
    below = geometry.height - geometry.content_height
    beside = geometry.width - geometry.content_width
    return (
        np.pad(rows, ((0, below), (0, 0)), mode="edge").astype(np.float16),
        np.pad(columns, ((0, 0), (0, beside)), mode="edge").astype(np.float16),
    )


def _resizes(geometry: Geometry) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield sizes (width, height) from the frame's to the content's, with OpenCV's method."""
    height, width = geometry.frame_height, geometry.frame_width
    size = (geometry.content_width, geometry.content_height)
    # Halve while that is exact: 720 to 216 lines takes 1.0 ms this way, 2.1 ms in one step
    while height % 2 == width % 2 == 0 and width >= 2 * size[0] and height >= 2 * size[1]:
        height, width = height // 2, width // 2
        yield (width, height), cv2.INTER_AREA
    if (width, height) != size:
        yield size, cv2.INTER_AREA if size[1] < height else cv2.INTER_LINEAR


def apply_gain(small: Image) -> Image:
    """Brighten a dark image as a camera with more gain would; return any other unchanged.

    On portraits darkened to a tenth, a twentieth and a fiftieth of their light, with a sensor's
    noise, MAD falls from 17.8 to 16.6, 22.7 to 20.2 and 36.9 to 31.2.

    The twin for GPUs is `vidbg.matting.full_frame.brightness_graph.apply_gain`.

    Args:
        small: uint8 (h, w, 3), BGR.
    """
    level = bright_level(small)
    if level >= BRIGHT_LEVEL:
        return small
    gain = min(MAX_GAIN, BRIGHT_LEVEL / max(level, 1))
    return np.asarray(cv2.convertScaleAbs(small, alpha=gain), np.uint8)


def network_input(small: Image, prior: Alpha | None, geometry: Geometry) -> NDArray[np.float32]:
    """Normalise and pad.

    Args:
        small: uint8 (content_height, content_width, 3), BGR, as `shrink` returns it.
        prior: the previous frame's alpha at the same size, float32 in [0, 1]; None when there is
            none.
    Returns:
        float32 (1, 4, height, width): normalised R, G, B and the prior; a new array.
    """
    content_height, content_width = small.shape[:2]
    batch = np.zeros((1, 4, geometry.height, geometry.width), np.float32)
    planes = batch[0]
    for channel, (mean, std) in enumerate(zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)):
        plane = planes[channel, :content_height, :content_width]
        np.multiply(small[..., 2 - channel], np.float32(1 / (255 * std)), out=plane)
        plane -= np.float32(mean / std)
    if prior is not None:
        planes[3, :content_height, :content_width] = prior
    planes[:, :content_height, content_width:] = planes[
        :, :content_height, content_width - 1 : content_width
    ]
    planes[:, content_height:, :] = planes[:, content_height - 1 : content_height, :]
    return batch


def content(alpha: Alpha, geometry: Geometry) -> Alpha:
    """Return a view of the part of the network's alpha (height, width) that the frame fills."""
    return alpha[: geometry.content_height, : geometry.content_width]
