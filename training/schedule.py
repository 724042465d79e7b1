"""The learning rate over a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FLOOR = 0.01
"""Share of the peak rate at the end of the cosine."""


@dataclass(slots=True)
class Plateau:
    """Halves the rate when validation has not improved for a while.

    Attributes:
        wait: validations without improvement before the rate is halved.
        factor: current share of the peak rate.
        stale: validations since the last improvement.
    """

    wait: int = 3
    factor: float = 1.0
    stale: int = 0

    def update(self, gained: bool) -> None:
        self.stale = 0 if gained else self.stale + 1
        if self.stale >= self.wait:
            self.factor, self.stale = self.factor / 2, 0


def warmup(step: int, steps: int) -> float:
    """Return a share that rises linearly to 1 at step `steps`."""
    return min(1.0, (step + 1) / max(steps, 1))


def cosine(progress: float) -> float:
    """Return half a cosine: 1 at progress 0, FLOOR at progress 1."""
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + float(np.cos(np.pi * min(1.0, progress))))
