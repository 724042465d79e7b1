"""What the drawings of scenes share: coordinates, colours, noise and soft shapes.

Pictures here are float32 (H, W, 3), BGR, from 0 to 255 and not yet rounded, so that no step of a
gradient is lost. The shape is always 16 : 9, x runs from 0 to 16/9 and y from 0 at the top to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
"""float32 (H, W, 3), BGR, 0 to 255."""

Plane = NDArray[np.floating[Any]]
"""(H, W), or of a shape that broadcasts to it; float32 at run time."""

ASPECT = 16 / 9
SOFT_LINES = 360
"""Lines at which pictures without fine detail are drawn before they are enlarged."""


def grid(height: int) -> tuple[Plane, Plane]:
    """Return x (1, W) and y (H, 1) at the centres of the pixels of a picture of a height."""
    width = width_of(height)
    x = (np.arange(width, dtype=np.float32)[None] + 0.5) / height
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height
    return x, y


def width_of(height: int) -> int:
    """Return the width that belongs to a height, rounded up."""
    return -(-height * 16 // 9)


def soft_lines(height: int) -> int:
    """Return the height at which to draw what has no fine detail."""
    return min(height, SOFT_LINES)


def enlarged(picture: Picture, height: int) -> Picture:
    """Enlarge a picture to a height; the same one if it has it already."""
    if picture.shape[0] == height:
        return picture
    size = (width_of(height), height)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.float32)


def bgr(code: str) -> NDArray[np.float32]:
    """Return the colour `#rrggbb` as float32 (3,), BGR."""
    return np.frombuffer(bytes.fromhex(code[1:])[::-1], np.uint8).astype(np.float32)


def gradient(t: Plane, *stops: tuple[float, str]) -> Picture:
    """Colour a plane.

    Args:
        t: of any range.
        stops: a value and its colour, by rising values; linear between two, the same beyond them.
    """
    values = [value for value, _ in stops]
    colours = np.stack([bgr(code) for _, code in stops])
    channels = [np.interp(t, values, colours[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def painted(colour: NDArray[np.floating[Any]], strength: Plane) -> Picture:
    """Return a picture of one colour (3,) times a plane (H, W)."""
    row = np.tile(colour, strength.shape[1]).reshape(1, -1, 3)  # broadcasts fast, unlike (3,)
    return np.asarray(row * cv2.merge([strength] * 3), np.float32)


def mix(picture: Picture, over: Picture | NDArray[np.float32], share: Plane) -> None:
    """Lay a picture or a colour (3,) over another picture by a share (H, W) of 0 to 1, in place."""
    if over.ndim == 1:
        over = np.tile(over, picture.shape[1]).reshape(1, -1, 3)
    picture += (over - picture) * cv2.merge([share] * 3)


def smooth(t: Plane, low: float, high: float) -> Plane:
    """Rise smoothly from 0 at `low` to 1 at `high`, which may be the smaller one."""
    t = np.clip((t - low) / (high - low), 0, 1, dtype=np.float32)
    return t * t * (3 - 2 * t)


def glow(
    x: Plane, y: Plane, centre: tuple[float, float], radius: float, squeeze: float = 1
) -> Plane:
    """Return a round light of 1 in its centre; `squeeze` above 1 makes it flatter than wide."""
    squared = (x - centre[0]) ** 2 + ((y - centre[1]) * squeeze) ** 2
    return np.exp(-squared / radius**2, dtype=np.float32)


def noise(seed: int, height: int, cells: int, octaves: int = 3, stretch: float = 1) -> Plane:
    """Return clouds of noise around 0 with a deviation of about 1, the same at every height.

    Args:
        seed: another one gives another picture.
        height: of the plane.
        cells: number of the largest clouds down the picture.
        octaves: each adds clouds of half the size and half the strength.
        stretch: how many times as wide as high the clouds are.
    """
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width_of(height)), np.float32)
    for octave in range(octaves):
        rows = cells * 2**octave
        columns = max(2, round(rows * ASPECT / stretch))
        coarse = rng.standard_normal((rows + 1, columns + 1), dtype=np.float32)
        size = total.shape[::-1]
        total += cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC) / 2**octave
    return total


def blurred(picture: Picture | Plane, sigma: float) -> Picture:
    """Blur by a Gaussian whose sigma is a share of the height."""
    pixels = sigma * picture.shape[0]
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), pixels, borderType=cv2.BORDER_REFLECT))


def fill_polygon(plane: Plane, points: Sequence[tuple[float, ...]]) -> None:
    """Fill a polygon with 1, in place."""
    corners = np.round(np.asarray(points) * plane.shape[0] * 16).astype(np.int32)
    cv2.fillPoly(plane, [corners], 1.0, shift=4)


def add_box(
    picture: Picture,
    left: float,
    top: float,
    right: float,
    bottom: float,
    colour: NDArray[np.float32],
    share: float,
) -> None:
    """Lay a share of a colour over a rectangle, in place."""
    lines = picture.shape[0]
    sides = [round(max(0.0, side) * lines) for side in (left, top, right, bottom)]
    part = picture[sides[1] : sides[3], sides[0] : sides[2]]
    part += (colour - part) * share


def add_disc(
    picture: Picture,
    centre: tuple[float, float],
    radius: float,
    colour: NDArray[np.float32],
    strength: float,
) -> None:
    """Add a light as a lens shows it out of focus, in place: a disc that is brighter at its rim."""
    height, width = picture.shape[:2]
    left, top = (max(0, int((at - 1.1 * radius) * height)) for at in centre)
    right, bottom = (max(0, int((at + 1.1 * radius) * height) + 1) for at in centre)
    part = picture[top:bottom, left:right]
    if not part.size:
        return
    x = (np.arange(left, min(right, width), dtype=np.float32)[None] + 0.5) / height
    y = (np.arange(top, min(bottom, height), dtype=np.float32)[:, None] + 0.5) / height
    distance = np.hypot(x - centre[0], y - centre[1]) / radius
    disc = smooth(distance, 1.05, 0.9) * (0.78 + 0.22 * smooth(distance, 0.55, 0.98))
    part += painted(colour / 255, strength * disc) * (255 - part)
