"""Automatic framing: a crop that follows the head and shoulders of the people in the frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vidbg.frame import Alpha
from vidbg.picture.crop import FULL_CROP, Crop

MAX_ZOOM = 2.0
"""More leaves less than 360 of 720 lines."""

HEADROOM, MARGIN, SIDES = 0.12, 0.1, 0.8
"""Shares of the crop: above the head, below the shoulders, and the width that people may fill."""

MIN_PERSON = 0.01
"""Share of the crop below which there is nobody."""

HEAD_SHARE = 0.003
"""Of the people's area: what lies above the top of the head, such as a lock of hair or a speck."""

BUST = 0.4, 0.7
"""Head and shoulders end, gradually, where they fill between these shares of a square below the top
of the head: for a standing person at about 1.4 times the width of the shoulders. A sharp end would
let the crop flip between two sizes."""

LINES = 90
"""The people are measured on at least so many lines of the crop."""

LOOSE = 0.07
"""Dead zone: the crop stays while the person is off by less, as a share of the crop's size."""

SIZE_WEIGHT = 0.5
"""Of a difference in size, compared with one in place: its edges move by half of it."""

CLOSE = 0.02
"""While the crop follows, its goal changes only where the person is off by more; it stops when it
is nearer to the goal."""

FOLLOW_RATE, OPEN_RATE = 2.5, 0.8
"""Angular frequencies of the critically damped springs, in radians per second: the crop settles in
about 2 s while it follows, and in about 6 s while it opens."""

MAX_PULL = 0.3
"""The springs are pulled by at most this distance, as a share of the frame: the speed is bounded by
FOLLOW_RATE * MAX_PULL / 2 per second."""

HOLD_S = 2.0
"""How long the crop stays after the person was lost, before it opens."""

MAX_STEP_S = 0.25
"""A longer gap between frames moves the crop no further: nobody saw what was between."""

AT_REST = 2e-4
"""Distance and speed, as shares of the frame, at which a crop that moves comes to rest."""


@dataclass(slots=True)
class _Spring:
    """A value that follows a target, critically damped, independent of the frame rate."""

    value: float
    speed: float = 0.0

    def move(self, target: float, rate: float, seconds: float) -> None:
        pull = min(max(self.value - target, -MAX_PULL), MAX_PULL)
        if abs(pull) < AT_REST and abs(self.speed) < AT_REST:
            self.value, self.speed = target, 0.0
            return
        decay = math.exp(-rate * seconds)
        impulse = self.speed + rate * pull
        self.value += (pull + impulse * seconds) * decay - pull
        self.speed = (self.speed - rate * impulse * seconds) * decay


class AutoFrame:
    """The crop of one stream.

    It stays while the people move within a dead zone, follows them smoothly beyond that, holds
    still when they are lost, and then slowly opens.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self, crop: Crop = FULL_CROP) -> None:
        """Forget the people, and begin with a crop."""
        self._springs = [_Spring(crop.x), _Spring(crop.y), _Spring(math.log(crop.size))]
        self._target = crop
        self._following = False
        self._pts: float | None = None
        self._last_seen_s: float | None = None

    def crop(self, pts: float) -> Crop:
        """Return the crop of the next frame, by its time in seconds."""
        elapsed_s = 0.0 if self._pts is None else pts - self._pts
        self._pts = pts
        elapsed_s = min(max(elapsed_s, 0.0), MAX_STEP_S)
        opens = self._last_seen_s is None or not 0 <= pts - self._last_seen_s <= HOLD_S
        target = FULL_CROP if opens else self._target
        rate = OPEN_RATE if opens else FOLLOW_RATE
        goals = (target.x, target.y, math.log(target.size))
        for spring, goal in zip(self._springs, goals, strict=True):
            spring.move(goal, rate, elapsed_s)
        at_rest = all(s.value == goal for s, goal in zip(self._springs, goals, strict=True))
        current = target if at_rest else self._current()
        if opens:
            self._target, self._following = current, True
        return current

    def _current(self) -> Crop:
        x, y, size = (spring.value for spring in self._springs)
        return Crop(x, y, math.exp(size)).inside()

    def follow(self, alpha: Alpha, shown: Crop, height: int, width: int) -> None:
        """Take the alpha of the last frame.

        Args:
            alpha: float32 (h, w) in [0, 1], of the part of the frame that was shown.
            shown: that part.
            height, width: of the frame: the crop comes to rest at whole pixels, where it is sharp.
        """
        wanted = wanted_crop(alpha, shown)
        if wanted is not None:
            wanted = wanted.aligned(height, width)
        else:
            if self._following:  # the crop comes to rest where it is
                self._target, self._following = self._current(), False
            return
        self._last_seen_s = self._pts
        off = distance(wanted, self._target)
        if self._following:
            if off > CLOSE:
                self._target = wanted
            self._following = distance(self._current(), self._target) > CLOSE
        elif off > LOOSE:
            self._following, self._target = True, wanted


def distance(one: Crop, other: Crop) -> float:
    """Return how far two crops are apart, as a share of the smaller one's size."""
    size = min(one.size, other.size)
    return max(
        abs(one.x - other.x) / size,
        abs(one.y - other.y) / size,
        SIZE_WEIGHT * abs(math.log(one.size / other.size)),
    )


def wanted_crop(alpha: Alpha, shown: Crop) -> Crop | None:
    """Compute the crop that frames the head and shoulders well.

    Args:
        alpha: float32 (H, W) in [0, 1], of the part of the frame that was shown.
        shown: that part.
    Returns:
        The crop in the frame; None if nobody is there.
    """
    stride = max(1, alpha.shape[0] // LINES)
    people = alpha[::stride, ::stride]
    height, width = people.shape
    if float(people.mean()) < MIN_PERSON:
        return None

    # Where the head begins, in lines of the part
    lines = people.sum(axis=1)
    below = np.concatenate(([0.0], np.cumsum(lines)))
    top = float(np.interp(HEAD_SHARE * below[-1], below, np.arange(height + 1)))

    # How far down head and shoulders reach; below the part the body goes on as at its last line
    depths = np.arange(1.0, 2 * height)
    filled = np.interp(top + depths, np.arange(height + 1), below) - HEAD_SHARE * below[-1]
    filled += lines[-1] * np.maximum(top + depths - height, 0)
    low, high = BUST
    bust = max(1.0, float(np.clip((filled / depths**2 - low) / (high - low), 0, 1).sum()))
    bottom = min(top + bust, (0.5 + (1 - shown.y) / shown.size) * height)

    columns = np.cumsum(people[int(top) : math.ceil(top + bust)].sum(axis=0))
    shares = np.array([0.02, 0.5, 0.98]) * columns[-1]
    left, middle, right = np.interp(shares, columns, np.arange(1, width + 1)) / width

    # From shares of the part to shares of the frame
    (left, head), (right, chest) = (
        (shown.x + (x - 0.5) * shown.size, shown.y + (y - 0.5) * shown.size)
        for x, y in ((float(left), top / height), (float(right), bottom / height))
    )
    size = (chest - head) / (1 - HEADROOM - MARGIN)
    if chest + MARGIN * size > 1:  # the frame's edge cuts the person off: no margin is needed
        size = (1 - head) / (1 - HEADROOM)
    size = max(size, (right - left) / SIDES, 1 / MAX_ZOOM)
    x = (left + right) / 4 + (shown.x + (float(middle) - 0.5) * shown.size) / 2
    return Crop(x, head + (0.5 - HEADROOM) * size, size).inside()
