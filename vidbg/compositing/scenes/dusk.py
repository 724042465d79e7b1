"""Hills in the mist after sunset."""

from __future__ import annotations

import numpy as np

from vidbg.compositing.scenes.canvas import (
    ASPECT,
    Picture,
    Plane,
    bgr,
    enlarged,
    glow,
    gradient,
    grid,
    mix,
    noise,
    smooth,
    soft_lines,
)

HILLS = (
    (0.60, 0.030, 2.2, "#c9a097", "#e4b99f"),
    (0.66, 0.040, 3.1, "#987d8c", "#c9a097"),
    (0.74, 0.050, 2.6, "#665c79", "#987d8c"),
    (0.84, 0.055, 2.0, "#3d405d", "#625a77"),
)
"""Of each range: its middle and the height of its peaks, how many there are down a picture's
height, the colour of its ridge and, in the mist, of its foot.
"""


def dusk(height: int) -> Picture:
    """Draw the sky, thin clouds, and ranges of hills that fade into the mist."""
    lines = soft_lines(height)
    x, y = grid(lines)
    sky = gradient(
        y + 0.05 * (1 - x / ASPECT),
        (0.0, "#3d4c78"),
        (0.28, "#71789f"),
        (0.48, "#b698aa"),
        (0.60, "#e8b8a1"),
        (0.72, "#f8d2a8"),
    )
    mix(sky, bgr("#ffe3b8"), 0.7 * glow(x, y, (ASPECT * 0.82, 0.60), 0.36, 1.5))
    streaks = noise(31, lines, 7, octaves=4, stretch=9)
    mix(sky, bgr("#e9bfb8"), 0.3 * smooth(streaks, 0, 3) * smooth(y, 0.66, 0.3))
    picture = enlarged(sky, height)
    x, y = grid(height)
    for seed, (middle, rise, peaks, ridge, foot) in enumerate(HILLS, 40):
        edge = middle - rise * _ridge(x, seed, peaks)
        rows = slice(int(edge.min() * height) - 2, None)
        depth = gradient(y[rows] - middle, (0.0, ridge), (0.22, foot))
        mix(picture[rows], depth, np.clip((y[rows] - edge) * height / 1.5 + 0.5, 0, 1))
    return picture


def _ridge(x: Plane, seed: int, peaks: float) -> Plane:
    """Return a line of mountains: noise of one dimension around 0."""
    rng = np.random.default_rng(seed)
    total = np.zeros_like(x)
    for octave in range(6):
        at = x * peaks * 2**octave
        knots = rng.standard_normal(int(ASPECT * peaks * 2**octave) + 3).astype(np.float32)
        whole = at.astype(int)
        total += (
            knots[whole] + (knots[whole + 1] - knots[whole]) * smooth(at - whole, 0, 1)
        ) / 2.1**octave
    return total
