"""One person of several: the largest, who stays the one until another is clearly larger.

Works on alpha at the network's size. People who touch each other in the picture are one.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.frame import Alpha

PERSON = 0.3
"""Alpha from which a pixel joins what is beside it to one person."""

HOLD = 1.5
"""Somebody else must be so many times larger to take the place of who was there before."""

PART_SHARE, PART_REACH = 0.2, 0.05
"""What is smaller than this share of the person, and nearer than this share of the picture's
height, is a part: a hand that the frame's edge or a cup cuts off."""

Mask = NDArray[np.bool_]


class MainPerson:
    """Keeps the main person of a stream and leaves the others out."""

    def __init__(self) -> None:
        self._before: Mask | None = None

    def reset(self) -> None:
        """Forget who it was: at a seek, a scene cut, another stream."""
        self._before = None

    def __call__(self, alpha: Alpha) -> Alpha:
        """Alpha of the main person alone.

        Args:
            alpha: float32 (h, w) in [0, 1], of everybody.
        Returns:
            The same where the main person is nearest, 0 where somebody else is; float32 (h, w).
        """
        everybody = alpha > PERSON
        count, found, stats, _ = cv2.connectedComponentsWithStats(
            everybody.astype(np.uint8), connectivity=8
        )
        if count <= 2:
            self._remember(everybody)
            return alpha
        labels = np.asarray(found, np.int32)
        areas = np.asarray(stats[1:, cv2.CC_STAT_AREA], np.float64)
        main = 1 + int(np.argmax(areas * self._holds(labels, count)))
        kept = np.isin(labels, [main, *_parts(labels, main, areas)])
        self._remember(labels == main)
        return _nearest(alpha, kept, everybody & ~kept)

    def _holds(self, labels: NDArray[np.int32], count: int) -> NDArray[np.float64]:
        """HOLD for those who are where the main person was, 1 for others."""
        if self._before is None:
            return np.ones(count - 1)
        there = np.bincount(labels[self._before], minlength=count)[1:]
        return np.where(there > 0, HOLD, 1.0)

    def _remember(self, person: Mask) -> None:
        if person.any():
            self._before = person


def _parts(labels: NDArray[np.int32], main: int, areas: NDArray[np.float64]) -> list[int]:
    reach = 2 * max(1, round(PART_REACH * labels.shape[0])) + 1
    around = cv2.dilate((labels == main).astype(np.uint8), np.ones((reach, reach), np.uint8))
    near = np.unique(labels[around > 0])
    most = PART_SHARE * areas[main - 1]
    return [int(label) for label in near if label not in (0, main) and areas[label - 1] < most]


def _nearest(alpha: Alpha, kept: Mask, others: Mask) -> Alpha:
    """Alpha where what is kept is nearer than the others, so that soft edges go with theirs."""
    if not others.any():
        return alpha
    to_kept, to_others = (
        cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3) for mask in (kept, others)
    )
    return np.where(to_kept <= to_others, alpha, np.float32(0))
