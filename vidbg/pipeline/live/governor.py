"""Keeps the frame rate on a machine that is too slow for it, by asking less of the network."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from vidbg.matting.preprocess import MIN_PIXELS

logger = logging.getLogger(__name__)

STEPS = ((1.0, 1), (0.7, 1), (0.5, 1), (0.5, 2), (0.35, 2), (0.35, 3))
"""Share of the network's pixels, and of how many frames one is given to it; in order of cost."""

WINDOW_S = 1.0
"""What is judged at a time."""

HELD = 0.93
"""Share of the frames that must be done for the rate to count as held."""

ROOM = 0.75
"""Share of the time that the next larger step may be expected to take."""

PATIENCE_S, MOST_PATIENCE_S = 6.0, 96.0
"""How long all must be well before a larger step is tried; doubled when that proves too much."""


@dataclass(frozen=True, slots=True)
class Level:
    """What is asked of the network.

    Attributes:
        pixels: of its input.
        every: it is given one frame of so many; the others' alpha is carried along by motion.
    """

    pixels: int
    every: int

    @property
    def cost(self) -> float:
        """Proportional to the network's work a frame."""
        return self.pixels / self.every

    def __str__(self) -> str:
        rate = "" if self.every == 1 else f", one frame of {self.every}"
        return f"{self.pixels} pixels{rate}"


class Governor:
    """Chooses a level from how many frames were done in time.

    Args:
        pixels: of the network's input at the best level.
        rate: frames a second that are wanted.
        now: monotonic time, in seconds.
    """

    def __init__(self, pixels: int, rate: float, now: float) -> None:
        levels = [Level(max(int(pixels * share), MIN_PIXELS), every) for share, every in STEPS]
        self._levels = list(dict.fromkeys(levels))
        self._rate = rate
        self.reset(now)

    @property
    def level(self) -> Level:
        """What is to be asked of the network now."""
        return self._levels[self._at]

    @property
    def eased(self) -> bool:
        """Whether less is asked than the user wants."""
        return self._at > 0

    def reset(self, now: float) -> Level:
        """Begin at the best level again: for another network."""
        self._at, self._patience_s, self._raised_s = 0, PATIENCE_S, float("-inf")
        self.restart(now)
        return self.level

    def restart(self, now: float) -> None:
        """Judge anew from here: after a failure, at another level."""
        self._window_s, self._done, self._missed, self._busy_s = now, 0, 0, 0.0
        self._well_s = now

    def frame(self, busy_s: float, missed: int, now: float) -> bool:
        """A frame is done.

        Args:
            busy_s: how long it took, in seconds.
            missed: frames that were dropped since the one before it.
            now: monotonic time, in seconds.
        Returns:
            Whether the level has changed.
        """
        self._done += 1
        self._missed += missed
        self._busy_s += busy_s
        passed_s = now - self._window_s
        if passed_s < WINDOW_S:
            return False
        offered = (self._done + self._missed) / passed_s
        held = self._done / passed_s >= HELD * min(offered, self._rate)
        load = self._busy_s / passed_s
        self._window_s, self._done, self._missed, self._busy_s = now, 0, 0, 0.0
        return self._ease(now) if not held else self._try_more(load, now)

    def _ease(self, now: float) -> bool:
        self._well_s = now
        if self._at + 1 == len(self._levels):
            return False
        if now - self._raised_s < self._patience_s:  # the last step up was too much
            self._patience_s = min(2 * self._patience_s, MOST_PATIENCE_S)
        self._move(1, now)
        return True

    def _try_more(self, load: float, now: float) -> bool:
        if self._at == 0 or now - self._well_s < self._patience_s:
            return False
        expected = load * self._levels[self._at - 1].cost / self.level.cost
        if expected > ROOM:
            return False
        self._raised_s = now
        self._move(-1, now)
        return True

    def _move(self, step: int, now: float) -> None:
        self._at += step
        self.restart(now)
        logger.info("network at %s", self.level)
