"""Leaves in the sun, out of focus."""

from __future__ import annotations

import numpy as np

from vidbg.compositing.scenes.canvas import (
    ASPECT,
    Picture,
    add_disc,
    bgr,
    enlarged,
    glow,
    gradient,
    grid,
    noise,
    soft_lines,
)

SUNLIT = ("#c9d58a", "#a9c275", "#e6e7b4", "#8fb06a")


def garden(height: int) -> Picture:
    """Draw clouds of green, and light between the leaves as discs of a wide lens."""
    lines = soft_lines(height)
    x, y = grid(lines)
    light = 0.60 - 0.40 * y + 0.30 * glow(x, y, (ASPECT * 0.22, 0.12), 0.55)
    light += 0.12 * glow(x, y, (ASPECT * 0.86, 0.25), 0.4)
    light += 0.085 * noise(9, lines, 3, octaves=3)
    picture = gradient(
        light,
        (0.0, "#1f3026"),
        (0.25, "#34492f"),
        (0.5, "#5b7546"),
        (0.75, "#94a76a"),
        (1.0, "#d3d8ab"),
    )
    rng = np.random.default_rng(6)
    for _ in range(110):
        centre = rng.uniform(0, ASPECT), rng.beta(1.2, 2.2)
        row, column = int(centre[1] * lines), int(centre[0] * lines)
        strength = 0.34 * float(light[row, column]) * rng.uniform(0.3, 1)
        colour = bgr(SUNLIT[int(rng.integers(len(SUNLIT)))])
        add_disc(picture, centre, rng.uniform(0.014, 0.05), colour, strength)
    return enlarged(picture, height)
