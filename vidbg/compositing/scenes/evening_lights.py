"""City lights out of focus."""

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
    mix,
)

LINES = 540  # the rims of the discs are finer than the rest
COLOURS = ("#ffb765", "#ffd9a0", "#ff9d55", "#ffe9cf", "#ffc27d", "#ffcf8f", "#a9d3e6", "#f58a63")


def evening_lights(height: int) -> Picture:
    """Draw the discs of a wide lens, larger and fainter the nearer they are."""
    lines = min(height, LINES)
    x, y = grid(lines)
    picture = gradient(
        y + 0.12 * (x - ASPECT / 2) ** 2,
        (0.0, "#141d2d"),
        (0.45, "#232a3b"),
        (0.62, "#37323a"),
        (1.0, "#17181f"),
    )
    mix(picture, bgr("#a5683a"), 0.3 * glow(x, y, (ASPECT * 0.80, 0.56), 0.5))
    mix(picture, bgr("#8a6152"), 0.26 * glow(x, y, (ASPECT * 0.14, 0.60), 0.45))
    rng = np.random.default_rng(21)
    for near in np.sort(rng.beta(1.3, 2.0, 84)):
        centre = rng.uniform(0, ASPECT), 0.57 + rng.normal(0, 0.06 + 0.16 * near)
        colour = bgr(COLOURS[int(rng.integers(len(COLOURS)))])
        strength = (0.8 - 0.58 * near) * rng.uniform(0.4, 1)
        add_disc(picture, centre, 0.013 + 0.062 * near, colour, strength)
    return enlarged(picture, height)
