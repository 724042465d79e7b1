"""A plaster wall with the light of a window on it."""

from __future__ import annotations

import cv2
import numpy as np

from vidbg.compositing.scenes.canvas import (
    ASPECT,
    Picture,
    Plane,
    blurred,
    enlarged,
    fill_polygon,
    glow,
    gradient,
    grid,
    noise,
    width_of,
)

LINES = 540  # the plaster is finer than the rest
LEAF = ((0.0, 0.0), (0.35, 0.2), (0.7, 0.16), (1.0, 0.0), (0.7, -0.16), (0.35, -0.2))
TWIGS = (((1.80, 0.18), 2.75, 17), ((1.84, 0.62), 3.35, 14), ((-0.04, 0.10), 0.5, 12))
"""Of each twig: where it begins, in which direction, and how many leaves it has."""


def window_light(height: int) -> Picture:
    """Draw slanting panes and the shadows of twigs, softer to the right."""
    lines = min(height, LINES)
    x, y = grid(lines)
    panes = _panes(lines)
    near, far = blurred(panes, 0.007), blurred(panes, 0.022)
    sun = (near + (far - near) * (x / ASPECT)) * (1 - 0.6 * _shadows(lines))
    wall = 0.50 + 0.16 * glow(x, y, (ASPECT * 0.2, 0.2), 0.9) - 0.10 * y
    wall += 0.010 * noise(5, lines, 3, octaves=6)
    picture = gradient(
        wall + 0.26 * sun,
        (0.25, "#6b645d"),
        (0.45, "#9b938a"),
        (0.62, "#c6bcaf"),
        (0.82, "#e6d9c5"),
        (1.0, "#fbeed9"),
    )
    return enlarged(picture, height)


def _panes(lines: int) -> Plane:
    """Draw the light of two windows with six panes each."""
    plane = np.zeros((lines, width_of(lines)), np.float32)
    for left in (0.10, 0.42, 1.12, 1.44):
        for top in (-0.05, 0.30, 0.65):
            corners = ((0.0, 0.0), (0.27, 0.0), (0.27, 0.30), (0.0, 0.30))
            fill_polygon(
                plane,
                [(left + u - 0.22 * (top + v - 0.4), top + v + 0.16 * u) for u, v in corners],
            )
    return plane


def _shadows(lines: int) -> Plane:
    """Draw twigs with leaves on both sides."""
    plane = np.zeros((lines, width_of(lines)), np.float32)
    rng = np.random.default_rng(3)
    for start, heading, leaves in TWIGS:
        at = np.array(start)
        for leaf in range(leaves):
            heading += rng.normal(0, 0.12)
            before, at = at, at + 0.05 * np.array([np.cos(heading), np.sin(heading)])
            ends = np.round(np.stack((before, at)) * lines).astype(np.int32)
            cv2.polylines(plane, [ends], False, 1.0, max(1, lines // 180))
            angle = heading + (0.9 if leaf % 2 else -0.9) + rng.normal(0, 0.2)
            along = np.array([np.cos(angle), np.sin(angle)]) * rng.uniform(0.07, 0.12)
            across = np.array([-along[1], along[0]])
            fill_polygon(plane, [tuple(at + along * t + across * w) for t, w in LEAF])
    return blurred(plane, 0.010)
