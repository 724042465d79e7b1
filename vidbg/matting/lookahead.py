"""Smoothing of alpha by the frames before and after it, for files.

A live stream cannot wait for later frames, but a file can. Each alpha becomes the weighted mean of
itself and its neighbours, which are moved along the optical flow, so that moving edges are smoothed
as well as still ones. A neighbour's weight falls with its distance in time and, at each pixel, with
the difference between its moved image and the frame: what appears keeps the network's answer.

Where the network takes a part for a person in some frames and not in others, a mean would leave a
half-transparent ghost. There the mean is that of the answers on the side of the majority.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.config import MattingConfig
from vidbg.frame import Alpha, Image
from vidbg.matting.motion import Flow, Motion, pixel_grid, sampled
from vidbg.matting.temporal import Levels, change_between, to_luma

MAX_NEIGHBOURS = 8
"""On each side of a frame. As many frames at full size are kept."""

REACH = 1.1
"""Neighbours are used up to this multiple of the time constant."""

UNLIKE_LEVELS = 10.0
"""Difference in grey levels at which a neighbour's weight has fallen to 1/e."""

CONTRADICTION = 0.5
"""Difference between the means of the alphas above and below 0.5 that cannot be an edge's."""

_LIKENESS_SIDE = 5
"""Side in pixels of the square over which images are compared."""

T = TypeVar("T")


@dataclass(slots=True)
class _Entry(Generic[T]):
    item: T
    alpha: Alpha
    luma: Levels
    pts: float
    to_previous: Flow | None = None
    to_next: Flow | None = None


class _Votes:
    """Weighted mean of alphas, of the majority's side where they contradict each other."""

    def __init__(self, alpha: Alpha) -> None:
        self._weight = np.ones_like(alpha)
        self._total = alpha.copy()
        self._person_weight = (alpha >= 0.5).astype(np.float32)
        self._person_total = self._person_weight * alpha

    def add(self, alpha: Alpha, weight: NDArray[np.float32]) -> None:
        self._weight += weight
        self._total += weight * alpha
        person = weight * (alpha >= 0.5)
        self._person_weight += person
        self._person_total += person * alpha

    def result(self) -> Alpha:
        mean = self._total / self._weight
        other_weight = self._weight - self._person_weight
        person = self._person_total / np.maximum(self._person_weight, 1e-6)
        other = (self._total - self._person_total) / np.maximum(other_weight, 1e-6)
        majority = np.where(self._person_weight >= other_weight, person, other)
        contradict = (person - other > CONTRADICTION) & (self._person_weight > 0)
        contradict &= other_weight > 1e-3
        return np.asarray(np.clip(np.where(contradict, majority, mean), 0, 1), np.float32)


class Lookahead(Generic[T]):
    """Filter that smooths the alphas of one file, a few frames late.

    Neighbours beyond a cut or a gap are not used.

    Args:
        time_constant_s: time in seconds in which a neighbour's weight falls to 1/e, above 0.
    """

    def __init__(self, time_constant_s: float) -> None:
        self._time_constant_s = time_constant_s
        self._reach_s = REACH * time_constant_s
        self._motion = Motion(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._entries: list[_Entry[T]] = []
        self._next = 0
        """Number of entries that have been returned but are still neighbours of later ones."""

    def push(self, item: T, small: Image, alpha: Alpha, pts: float) -> list[tuple[T, Alpha]]:
        """Take the next frame; return those that need no later ones, in order.

        Args:
            item: returned with its alpha.
            small: uint8 (h, w, 3), BGR, the frame at the alpha's size.
            alpha: the network's, float32 (h, w) in [0, 1]; kept, not changed.
            pts: time of the frame in seconds.
        Returns:
            Items, each with its alpha, float32 (h, w) in [0, 1], a new array.
        """
        entry = _Entry(item, alpha, to_luma(small), pts)
        ready: list[tuple[T, Alpha]] = []
        if self._entries:
            last = self._entries[-1]
            if change_between(last.luma, entry.luma, pts - last.pts) is None:
                ready = self.flush()
            else:
                entry.to_previous = self._motion.flow(entry.luma, last.luma)
                last.to_next = self._motion.flow(last.luma, entry.luma)
        self._entries.append(entry)
        while len(self._entries) - self._next > 1 and (
            pts - self._entries[self._next].pts >= self._reach_s
            or len(self._entries) - self._next > MAX_NEIGHBOURS
        ):
            ready.append(self._smooth_next())
        return ready

    def flush(self) -> list[tuple[T, Alpha]]:
        """Return the frames that still wait, at the end of a file or a scene."""
        ready = [self._smooth_next() for _ in range(len(self._entries) - self._next)]
        self.reset()
        return ready

    def reset(self) -> None:
        """Forget the frames that wait."""
        self._entries.clear()
        self._next = 0

    def _smooth_next(self) -> tuple[T, Alpha]:
        entries, index = self._entries, self._next
        entry = entries[index]
        votes = _Votes(entry.alpha)
        later, earlier = entries[index + 1 :], entries[index - 1 :: -1] if index else []
        self._add(votes, entry, later, [e.to_next for e in entries[index:]])
        self._add(votes, entry, earlier, [e.to_previous for e in entries[index::-1]])
        # Drop the entries that no later frame can use.
        self._next += 1
        while self._next > MAX_NEIGHBOURS or (
            self._next and entry.pts - entries[0].pts >= self._reach_s
        ):
            del entries[0]
            self._next -= 1
        return entry.item, votes.result()

    def _add(
        self,
        votes: _Votes,
        entry: _Entry[T],
        neighbours: Sequence[_Entry[T]],
        flows: Sequence[Flow | None],
    ) -> None:
        """Add the neighbours on one side, nearest first; flows lead from each to the next."""
        grid = pixel_grid(*entry.luma.shape)
        where: Any = None
        for neighbour, flow in zip(neighbours, flows, strict=False):
            away_s = abs(neighbour.pts - entry.pts)
            if flow is None or away_s >= self._reach_s + 1e-6:
                return
            where = grid + flow if where is None else where + sampled(flow, where)
            moved = cv2.convertMaps(where, cast(Any, None), cv2.CV_16SC2)  # faster to remap by
            unlike = cv2.absdiff(sampled(neighbour.luma, *moved), entry.luma)
            unlike = cv2.blur(unlike, (_LIKENESS_SIDE, _LIKENESS_SIDE))
            nearness = np.exp(-away_s / self._time_constant_s)
            share = cv2.LUT(unlike, (_LIKENESS * nearness).astype(np.float32))
            votes.add(sampled(neighbour.alpha, *moved), np.asarray(share, np.float32))


_LIKENESS = np.exp(-((np.arange(256) / UNLIKE_LEVELS) ** 2))


def lookahead_for(config: MattingConfig) -> Lookahead[Any] | None:
    """Return the filter for a file at the config's quality; None where alpha waits for nothing."""
    if config.quality != "best" or config.smoothing_s == 0:
        return None
    return Lookahead(config.smoothing_s)
