"""A room with shelves, out of focus."""

from __future__ import annotations

import cv2
import numpy as np

from vidbg.compositing.scenes.canvas import (
    ASPECT,
    Picture,
    add_box,
    bgr,
    blurred,
    enlarged,
    glow,
    gradient,
    grid,
    mix,
    soft_lines,
)

BOOKS = (
    "#8c4a3a",
    "#d8c7a8",
    "#3f5a66",
    "#b98a52",
    "#6d7a5c",
    "#e6dccb",
    "#33424f",
    "#a8664c",
    "#7d8f93",
    "#c9b38a",
)
SHELVES = ((-0.10, 0.45), (1.33, 1.90))
LEVELS = (0.20, 0.46, 0.72, 0.98)


def shelf(height: int) -> Picture:
    """Draw shelves with books, plants and a lamp at both sides of a plain wall."""
    lines = soft_lines(height)
    x, y = grid(lines)
    wall = y - 0.25 * glow(x, y, (ASPECT * 0.5, 0.25), 0.7)
    picture = gradient(wall, (-0.2, "#d3ccbf"), (0.4, "#b3ab9d"), (1.0, "#857e74"))
    rng = np.random.default_rng(17)
    for left, right in SHELVES:
        add_box(picture, left, 0, right, 1, bgr("#8f877b"), 0.35)
        for level in LEVELS:
            _fill_shelf(picture, left + 0.02, right - 0.02, level, rng)
            add_box(picture, left, level, right, level + 0.022, bgr("#8a6647"), 1)
            add_box(picture, left, level + 0.022, right, level + 0.045, bgr("#4a443c"), 0.35)
    picture = blurred(picture, 0.015)
    mix(picture, bgr("#ffdca6"), 0.6 * glow(x, y, (1.42, 0.37), 0.30))
    mix(picture, bgr("#fff1d6"), 0.85 * glow(x, y, (1.42, 0.37), 0.055))
    return enlarged(picture, height)


def _fill_shelf(
    picture: Picture, left: float, right: float, level: float, rng: np.random.Generator
) -> None:
    """Stand books, vases and plants in a row, with gaps."""
    while left < right - 0.05:
        kind = rng.random()
        if kind < 0.10:
            left += rng.uniform(0.03, 0.07)
        elif kind < 0.17 and left < right - 0.13:
            _plant(picture, left + 0.055, level, rng)
            left += 0.12
        else:
            width, tall = rng.uniform(0.016, 0.034), rng.uniform(0.10, 0.17)
            colour = bgr(BOOKS[int(rng.integers(len(BOOKS)))]) * rng.uniform(0.75, 0.95)
            add_box(picture, left, level - tall, left + width, level, colour, 1)
            left += width + 0.002


def _plant(picture: Picture, middle: float, level: float, rng: np.random.Generator) -> None:
    """Draw a pot with leaves that hang over it."""
    lines = picture.shape[0]
    for _ in range(14):
        angle, length = rng.uniform(-2.9, -0.25), rng.uniform(0.05, 0.1)
        green = bgr("#5d7a4c") * rng.uniform(0.6, 1.15)
        tip = (middle + 0.8 * length * np.cos(angle), level - 0.06 + length * np.sin(angle))
        start, end = ((int(u * lines), int(v * lines)) for u, v in ((middle, level - 0.06), tip))
        cv2.line(picture, start, end, green.tolist(), max(1, lines // 45))
    add_box(picture, middle - 0.033, level - 0.065, middle + 0.033, level, bgr("#d9cfc0"), 1)
