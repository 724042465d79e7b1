"""Which part of a photo becomes a training image: windows around a person, and their motion."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.data.image_sets import Mask

Matrix = NDArray[np.float64]

MAX_ROTATION_DEG = 12.0
_TOUCHING_SHARE = 0.01
"""Share of a photo's side that the person must cover to count as cut off by it."""

_SHOULDERS = 1.5
"""Width of shoulders, as a multiple of the median width of the head and neck above them."""

_ABOVE_HEAD = (-0.06, 0.35)
"""Range of the space above a head, as a share of the window's height; below 0 it is cut off."""


class Framing(Enum):
    """How a window lies around a person."""

    WEBCAM = auto()
    """Head and upper body."""
    CLOSE = auto()
    """A face that fills the image, with little of the shoulders, as in front of a laptop."""
    WHOLE = auto()
    """As much of the photo as the window's shape allows."""
    ANYWHERE = auto()
    """Any part of the photo."""
    FAR = auto()
    """A small person anywhere in the image."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a photo that fills the training image, in the photo's pixels."""

    x: float
    y: float
    width: float
    height: float


def frame_person(
    rng: Generator, mask: Mask, aspect: float, framing: Framing, *, inside: bool
) -> Window:
    """Choose a window around the person, or anywhere in a photo without one.

    Args:
        aspect: width / height of the window.
        inside: keep the window inside the photo. Otherwise it may reach beyond sides at which the
            person is not cut off, so that no person has a straight, floating edge.
    """
    height, width = mask.shape
    ys, xs = np.flatnonzero(mask.max(1) > 127), np.flatnonzero(mask.max(0) > 127)
    if not len(ys):
        return anywhere(rng, height, width, aspect)
    # The window's height, from the photo's or the person's.
    top, tall, wide = ys[0], ys[-1] - ys[0] + 1, xs[-1] - xs[0] + 1
    if framing is Framing.WHOLE:
        window_height = min(height, width / aspect) * rng.uniform(0.85, 1.0)
    elif framing is Framing.FAR:
        window_height = tall * rng.uniform(2.2, 6.0)
    elif framing is Framing.CLOSE and (shoulders := shoulder_row(mask)) is not None:
        window_height = (shoulders - top) * rng.uniform(1.1, 1.7)
    elif framing is Framing.ANYWHERE:
        window_height = tall * rng.uniform(1.0, 2.4) if not inside else height * rng.uniform(0.5, 1)
    elif tall > 1.7 * wide:
        window_height = tall * rng.uniform(0.28, 0.9)
    else:
        window_height = tall * rng.uniform(0.7, 1.6)
    # Its place: the head near the upper border, the person about in the middle.
    x = (xs[0] + xs[-1]) / 2 + wide * rng.uniform(-0.35, 0.35) - window_height * aspect / 2
    y = top - window_height * rng.uniform(*_ABOVE_HEAD)
    if framing is Framing.ANYWHERE and inside:
        y = rng.uniform(0, height - window_height)
    if framing is Framing.FAR:
        x = (xs[0] + xs[-1]) / 2 - rng.uniform(0.05, 0.95) * window_height * aspect
        y = top - window_height * rng.uniform(0.05, 0.6)
    return _keep_cut_sides(mask, Window(x, y, window_height * aspect, window_height), inside)


def shoulder_row(mask: Mask) -> int | None:
    """Find the row of a person's mask from which the shoulders are wider than the head.

    Returns:
        None if there is no such row, for example with raised arms or in a person lying down.
    """
    widths = (mask > 127).sum(1)
    rows = np.flatnonzero(widths)
    if not len(rows):
        return None
    top, tall = int(rows[0]), len(rows)
    for row in range(top + tall // 8, top + tall):
        head = float(np.median(widths[top:row]))
        if widths[row] > _SHOULDERS * head:
            return row if 0.4 < head / (row - top) < 1.1 else None
    return None


def _keep_cut_sides(mask: Mask, window: Window, inside: bool) -> Window:
    height, width = mask.shape
    sides = (mask[:, 0], mask[:, -1], mask[0], mask[-1])
    left, right, top, bottom = (inside or (s > 127).mean() > _TOUCHING_SHARE for s in sides)
    factor = min(
        1.0,
        width / window.width if left and right else 1.0,
        height / window.height if top and bottom else 1.0,
    )
    wide, tall = window.width * factor, window.height * factor
    x = window.x + (window.width - wide) / 2
    x = min(x, width - wide) if right else x
    x = max(x, 0.0) if left else x
    y = min(window.y, height - tall) if bottom else window.y
    y = max(y, 0.0) if top else y
    return Window(x, y, wide, tall)


def anywhere(rng: Generator, height: int, width: int, aspect: float) -> Window:
    tall = min(height, width / aspect) * rng.uniform(0.5, 1.0)
    wide = tall * aspect
    return Window(rng.uniform(0, width - wide), rng.uniform(0, height - tall), wide, tall)


def placing(rng: Generator, window: Window, height: int, width: int) -> Matrix:
    """Make the 2 x 3 matrix from a photo's pixels to a window's, sometimes slightly rotated.

    Args:
        height, width: size of the training image that the window fills.
    """
    turned = rng.random() < 0.35
    degrees = rng.uniform(-MAX_ROTATION_DEG, MAX_ROTATION_DEG) if turned else 0.0
    centre = (window.x + window.width / 2, window.y + window.height / 2)
    return similarity(height / window.height, degrees, centre, (width / 2, height / 2))


def small_motion(rng: Generator, height: int, width: int) -> Matrix:
    """Draw a 2 x 3 motion between two frames of a clip: shift, rotation and scale."""
    scale = float(np.exp(rng.normal(0, 0.012)))
    degrees = rng.normal(0, 0.9)
    x, y = (width / 2, height / 2) + rng.normal(0, 0.015, 2) * max(height, width)
    return similarity(scale, degrees, (width / 2, height / 2), (x, y))


def similarity(
    scale: float,
    degrees: float,
    centre: tuple[float, float],
    target: tuple[float, float],
    *,
    mirrored: bool = False,
) -> Matrix:
    """Make the 2 x 3 matrix that scales, rotates and mirrors about a point and moves it.

    Args:
        degrees: of rotation, counterclockwise.
        centre: (x, y) of the point.
        target: (x, y) to which the point is moved.
        mirrored: mirror left and right first.
    """
    angle = np.deg2rad(degrees)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    if mirrored:
        turn = turn @ np.diag([-1.0, 1.0])
    shift = np.asarray(target) - turn @ np.asarray(centre)
    return np.hstack([turn, shift[:, None]])


def moved(matrix: Matrix, motion: Matrix) -> Matrix:
    """Chain two 2 x 3 matrices: first `matrix`, then `motion`."""
    last = np.array([[0.0, 0.0, 1.0]])
    return np.asarray(motion @ np.vstack([matrix, last]), np.float64)
