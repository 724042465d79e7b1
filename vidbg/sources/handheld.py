"""Simulated handheld clips of a still, for the demo, tests and measurements."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.errors import ConfigError
from vidbg.frame import Alpha, Image

_Layer = TypeVar("_Layer", Image, Alpha)


@dataclass(frozen=True, slots=True)
class Handheld:
    """Motion of a handheld camera: slow drift and a little tremor, periodic over the clip.

    Attributes:
        shift: furthest movement to a side, as a share of the frame's longer side.
        rotation_deg: furthest roll.
        zoom: furthest change of scale; 0.015 is 1.5 % nearer or farther.
        seed: another seed gives another path.
    """

    shift: float = 0.012
    rotation_deg: float = 0.6
    zoom: float = 0.015
    seed: int = 0

    def path(self, count: int, duration_s: float) -> NDArray[np.float64]:
        """Return (count, 4): x, y shift, roll, zoom, each in [-1, 1]; the last leads to the first.

        A sum of sines near 0.2, 0.5 and 1.1 Hz, rounded to whole cycles of the clip.
        """
        phases = np.random.default_rng(self.seed).uniform(0, 2 * np.pi, (3, 4))
        cycles = np.maximum(1, np.round(np.array([0.2, 0.5, 1.1]) * duration_s))
        turns = 2 * np.pi * np.arange(count)[:, None, None] / count * cycles[:, None]
        weights = np.array([0.6, 0.3, 0.1])[:, None]
        return np.asarray((weights * np.sin(turns + phases)).sum(axis=1))

    def margin(self, width: int, height: int) -> float:
        """Return how much larger than the frame the image must be to never show its border."""
        ratio = max(width, height) / min(width, height)
        reach = 1 + ratio * (2 * self.shift + math.sin(math.radians(self.rotation_deg)))
        return reach / (1 - self.zoom)

    def view(
        self, pose: NDArray[np.float64], layer: tuple[int, ...], frame: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Return (2, 3), from an image's pixels to a frame's at a pose of the path.

        Args:
            layer, frame: height and width of the image and of the frame.
        """
        shift = self.shift * max(frame)
        x, y, roll, zoom = pose * (shift, shift, 1, self.zoom)
        centre = ((layer[1] - 1) / 2, (layer[0] - 1) / 2)
        view = cv2.getRotationMatrix2D(centre, roll * self.rotation_deg, 1 + zoom)
        view[:, 2] += ((frame[1] - 1) / 2 - centre[0] + x, (frame[0] - 1) / 2 - centre[1] + y)
        return np.asarray(view, np.float64)


def handheld(
    picture: Image,
    alpha: Alpha | None,
    width: int,
    height: int,
    *,
    frame_count: int,
    frame_rate: Fraction,
    motion: Handheld | None = None,
    anchor: tuple[float, float] = (0.5, 0.5),
) -> Iterator[tuple[Image, Alpha | None]]:
    """Animate a still as if filmed by a handheld camera; the alpha moves with it.

    The picture covers the frame and its border never shows. The clip loops seamlessly and is the
    same in every run.

    Args:
        picture: uint8 (H, W, 3), BGR, of any size.
        alpha: float32 (H, W) in [0, 1], or None.
        width, height: size of the frames.
        frame_count, frame_rate: length and speed of the clip.
        motion: None uses the default motion.
        anchor: part of an image of another shape to keep: (0.5, 0.5) its middle, (0.5, 0) its top.
    Yields:
        new arrays: uint8 (height, width, 3), and float32 (height, width) or None.
    Raises:
        ConfigError: the alpha's size is not the picture's.
    """
    if alpha is not None and alpha.shape != picture.shape[:2]:
        raise ConfigError(f"the alpha is {alpha.shape}, but its picture {picture.shape[:2]}")
    # Cover a frame that is larger by the margin, so that no movement shows the border
    hand = motion or Handheld()
    margin = hand.margin(width, height)
    size = (math.ceil(width * margin), math.ceil(height * margin))
    picture = _cover(picture, *size, anchor)
    alpha = None if alpha is None else _cover(alpha, *size, anchor)
    # Look at it from each pose of the path
    for pose in hand.path(frame_count, float(frame_count / frame_rate)):
        view = hand.view(pose, picture.shape[:2], (height, width))
        image = cv2.warpAffine(picture, view, (width, height), flags=cv2.INTER_CUBIC)
        matte = None
        if alpha is not None:  # cubic interpolation overshoots
            moved = cv2.warpAffine(alpha, view, (width, height), flags=cv2.INTER_CUBIC)
            matte = np.asarray(moved, np.float32).clip(0, 1)
        yield np.asarray(image, np.uint8), matte


def _cover(layer: _Layer, width: int, height: int, anchor: tuple[float, float]) -> _Layer:
    """Scale the layer until it covers width x height, and crop it to that."""
    scale = max(width / layer.shape[1], height / layer.shape[0])
    wide, high = math.ceil(layer.shape[1] * scale), math.ceil(layer.shape[0] * scale)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = np.asarray(cv2.resize(layer, (wide, high), interpolation=method), layer.dtype)
    left, top = int((wide - width) * anchor[0]), int((high - height) * anchor[1])
    return scaled[top : top + height, left : left + width]
