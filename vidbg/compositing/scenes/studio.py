"""Painted canvas, as photographers hang behind people."""

from __future__ import annotations

from functools import partial

from vidbg.compositing.scenes.canvas import (
    ASPECT,
    Picture,
    enlarged,
    glow,
    gradient,
    grid,
    noise,
    soft_lines,
)


def backdrop(height: int, colours: tuple[str, str, str, str], seed: int) -> Picture:
    """Draw mottled cloth with a pool of light behind the person."""
    lines = soft_lines(height)
    x, y = grid(lines)
    light = 0.18 + 0.72 * glow(x, y, (ASPECT * 0.5, 0.42), 0.78, 1.15)
    light += 0.14 * glow(x, y, (ASPECT * 0.14, 0.1), 0.6)
    light *= 1.06 - 0.22 * y  # lit from above
    mottle = noise(seed, lines, 2, octaves=4)
    return enlarged(
        gradient(
            light + 0.035 * mottle,
            (0.12, colours[0]),
            (0.42, colours[1]),
            (0.72, colours[2]),
            (1.05, colours[3]),
        ),
        height,
    )


studio = partial(backdrop, colours=("#3d352f", "#6e6054", "#9c8b7a", "#c0b09d"), seed=11)
slate = partial(backdrop, colours=("#262e37", "#45525f", "#6d7e8c", "#9badb8"), seed=4)
