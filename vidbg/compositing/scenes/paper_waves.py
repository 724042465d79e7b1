"""Sheets of paper in waves."""

from __future__ import annotations

import numpy as np

from vidbg.compositing.scenes.canvas import ASPECT, Picture, bgr, gradient, grid, mix, painted

COLOURS = ("#d3dfe2", "#b4cbd1", "#92b3bd", "#6d97a5", "#4a798b", "#2f5b70", "#1f4256")
SHADOW = 0.022  # how far up it falls to a third


def paper_waves(height: int) -> Picture:
    """Draw sheets one above another; each casts a soft shadow on the one behind it."""
    x, y = grid(height)
    picture = gradient(y + 0.1 * (x - ASPECT / 2), (0.0, "#eef3f3"), (0.5, "#d9e5e7"))
    phases = 1.7 * np.arange(len(COLOURS), dtype=np.float32)[:, None]
    edges = 0.24 + 0.0676 * phases + 0.075 * np.sin(2.1 * x + phases)
    edges += 0.03 * np.sin(4.7 * x - 1.3 * phases) + (0.05 - 0.007 * phases) * (x - ASPECT / 2)
    ends = [*edges[1:].max(axis=1), 1.0]  # below that the next sheet hides this one
    for edge, end, colour in zip(edges, ends, COLOURS, strict=True):
        rows = slice(int((edge.min() - 4 * SHADOW) * height), int(end * height) + 2)
        below, part = y[rows] - edge, picture[rows]
        mix(part, bgr("#1b3440"), 0.3 * np.exp(np.minimum(below, 0) / SHADOW))
        shade = 1.03 - 0.2 * np.clip(below, 0, 0.5)
        mix(part, painted(bgr(colour), shade), np.clip(below * height + 0.5, 0, 1))
    return picture
