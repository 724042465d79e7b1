"""Placement of objects: chairs behind people, tables in front of them, cups in their hands.

An object is a cut-out without a person. Behind, beside or in front of a person it belongs to the
background. A held object belongs to the person because viewers expect to see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
from numpy.random import Generator

from training.data.image_sets import Mask
from training.data.person_windows import Matrix, similarity


class Place(Enum):
    """Where an object is relative to a person."""

    BEHIND = auto()
    """A chair back or a shelf behind head and shoulders."""
    BESIDE = auto()
    """Touching the person's side, behind the arm."""
    IN_FRONT = auto()
    """A table, a laptop or a chair at the lower border of the image."""
    HELD = auto()
    """Small, over the lower part of the person's outline."""


@dataclass(frozen=True, slots=True)
class Box:
    """A person's bounding box in the scene, in pixels; it may reach beyond the scene."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top


def person_box(mask: Mask, matrix: Matrix, height: int, width: int) -> Box | None:
    """Find the visible part of a person's bounding box.

    Args:
        mask: uint8 (H, W) of the person's image.
        matrix: 2 x 3, from that image's pixels to those of a scene of (height, width).
    Returns:
        None if the mask is empty or less than 4 pixels of it are in the scene.
    """
    ys, xs = np.flatnonzero(mask.max(1) > 127), np.flatnonzero(mask.max(0) > 127)
    if not len(ys):
        return None
    corners = np.array([(x, y, 1) for x in (xs[0], xs[-1] + 1) for y in (ys[0], ys[-1] + 1)])
    placed = corners @ matrix.T
    left, top = np.clip(placed.min(0), 0, (width, height))
    right, bottom = np.clip(placed.max(0), 0, (width, height))
    if right - left < 4 or bottom - top < 4:
        return None
    return Box(float(left), float(top), float(right), float(bottom))


def place_object(rng: Generator, place: Place, shape: tuple[int, int], box: Box) -> Matrix:
    """Make the 2 x 3 matrix from an object's pixels to the scene's; it may rotate and mirror.

    Args:
        shape: the object's (height, width) in pixels.
        box: the person by whom the object is placed.
    """
    tall, wide = shape
    centre = (box.left + box.right) / 2
    if place is Place.HELD:
        side = rng.uniform(0.12, 0.4) * min(box.width, box.height)
        scale = side / max(tall, wide)
        x = rng.uniform(box.left + 0.1 * box.width, box.right - 0.1 * box.width)
        y = box.top + rng.uniform(0.4, 0.9) * box.height
        degrees = rng.uniform(-40, 40)
    elif place is Place.IN_FRONT:
        scale = rng.uniform(0.5, 1.6) * box.width / wide
        x = centre + rng.uniform(-0.6, 0.6) * box.width
        top = box.bottom - rng.uniform(0.05, 0.35) * box.height
        y = top + scale * tall / 2
        degrees = rng.uniform(-5, 5)
    else:
        scale = rng.uniform(0.6, 1.5) * max(box.width, 0.6 * box.height) / max(wide, 0.7 * tall)
        if place is Place.BEHIND:
            x = centre + rng.uniform(-0.3, 0.3) * box.width
        else:
            away = rng.choice((-1.0, 1.0)) * (box.width + scale * wide) / 2
            x = centre + rng.uniform(0.55, 1.0) * away
        top = box.top + rng.uniform(-0.1, 0.5) * box.height
        y = top + scale * tall / 2
        degrees = rng.uniform(-8, 8)
    mirrored = bool(rng.random() < 0.5)
    return similarity(scale, degrees, (wide / 2, tall / 2), (x, y), mirrored=mirrored)
