"""How the learning rate goes over a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FLOOR = 0.01
"""Of the peak rate, at the end of the cosine."""


@dataclass(slots=True)
class Plateau:
    """Halves the rate when validation has not gained for a while.

    Attributes:
        wait: validations without gain before the rate falls.
    """

    wait: int = 3
    factor: float = 1.0
    stale: int = 0

    def update(self, gained: bool) -> None:
        self.stale = 0 if gained else self.stale + 1
        if self.stale >= self.wait:
            self.factor, self.stale = self.factor / 2, 0


def warmup(step: int, steps: int) -> float:
    """Linear, from nearly 0 at the first step to 1 at step `steps`."""
    return min(1.0, (step + 1) / max(steps, 1))


def cosine(progress: float) -> float:
    """Half a cosine from 1 at progress 0 down to FLOOR at 1."""
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + float(np.cos(np.pi * min(1.0, progress))))
