"""Selection of the main person: the largest, until another is clearly larger.

It works on alpha at the network's size. People who touch each other in the image count as one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.frame import Alpha

PERSON = 0.3
"""Minimum alpha at which adjacent pixels count as one person."""

HOLD = 1.5
"""How many times larger another person must be to replace the main person."""

PART_SHARE, PART_REACH = 0.2, 0.05
"""A region that is smaller than this share of the person and nearer than this share of the image's
height is part of the person: a hand cut off by the frame's edge or a cup."""

Mask = NDArray[np.bool_]


class MainPerson:
    """Filter that keeps the main person of a stream and removes the others."""

    def __init__(self) -> None:
        self._before: Mask | None = None

    def reset(self) -> None:
        """Forget the main person. Call it at a seek, a scene cut or another stream."""
        self._before = None

    def __call__(self, alpha: Alpha) -> Alpha:
        """Return the alpha of the main person only.

        Args:
            alpha: float32 (h, w) in [0, 1], of all people.
        Returns:
            float32 (h, w): `alpha` where the main person is nearest, 0 where somebody else is.
        """
        everybody = alpha > PERSON
        count, numbered, stats, _ = cv2.connectedComponentsWithStats(
            everybody.astype(np.uint8), connectivity=8
        )
        if count <= 2:
            if count == 2:
                self._before = everybody
            return alpha
        labels = np.asarray(numbered, np.int32)
        areas = np.asarray(stats[1:, cv2.CC_STAT_AREA], np.float64)
        # The largest person, and the parts of them that are cut off
        main = 1 + int(np.argmax(areas * self._holds(labels, count)))
        reach = 2 * max(1, round(PART_REACH * labels.shape[0])) + 1
        around = cv2.dilate((labels == main).astype(np.uint8), np.ones((reach, reach), np.uint8))
        near = np.unique(labels[around > 0])
        maximum = PART_SHARE * areas[main - 1]
        parts = [int(n) for n in near if n not in (0, main) and areas[n - 1] < maximum]
        kept = np.isin(labels, [main, *parts])
        self._before = labels == main
        others = everybody & ~kept
        if not others.any():
            return alpha
        # Soft edges go with the nearer person
        to_kept, to_others = (
            cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
            for mask in (kept, others)
        )
        return np.where(to_kept <= to_others, alpha, np.float32(0))

    def _holds(self, labels: NDArray[np.int32], count: int) -> NDArray[np.float64]:
        """Return HOLD for people at the main person's last position, 1 for others."""
        if self._before is None:
            return np.ones(count - 1)
        there = np.bincount(labels[self._before], minlength=count)[1:]
        return np.where(there > 0, HOLD, 1.0)
