"""Keeps the frame rate: climbs and descends the ladder of networks and input sizes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from vidbg.matting.ladder import Step
from vidbg.util.limits import MIN_PIXELS

logger = logging.getLogger(__name__)

LAST_RESORTS = ((1.0, 2), (0.7, 2), (0.7, 3))
"""Levels below the cheapest ladder step: its share of pixels, and one frame in how many the network
runs on; in order of cost."""

SMALLER_SHARES = (0.5, 0.7)
"""Smaller inputs used when only one step is allowed, cheapest first."""

WINDOW_S = 1.0
"""Length of one measurement."""

HELD = 0.93
"""Share of the frames that must be done for the rate to count as held."""

ROOM = 0.75
"""Maximum expected load of the next larger step, as a share of the time."""

PATIENCE_S, MOST_PATIENCE_S = 6.0, 96.0
"""How long the rate must hold before a larger step is tried, and the maximum. The time doubles
when that step proves too demanding."""


@dataclass(frozen=True, slots=True)
class Level:
    """The load put on the network.

    Attributes:
        step: the network and its input size.
        every: run on one frame in this many; motion propagates the alpha to the others.
    """

    step: Step
    every: int = 1

    @property
    def cost(self) -> float:
        """A number proportional to the network's work per frame."""
        return self.step.cost / self.every

    def __str__(self) -> str:
        return str(self.step) if self.every == 1 else f"{self.step}, one frame of {self.every}"


def levels_of(steps: Sequence[Step]) -> list[Level]:
    """List the levels of a ladder's steps, best first, then those for slow machines.

    Args:
        steps: from the cheapest to the best, of `live_steps`.
    """
    cheapest = steps[0]
    levels = [Level(step) for step in reversed(steps)]
    if len(steps) == 1:
        levels += [Level(_smaller(cheapest, share)) for share in reversed(SMALLER_SHARES)]
        cheapest = levels[-1].step
    levels += [Level(_smaller(cheapest, share), every) for share, every in LAST_RESORTS]
    return list(dict.fromkeys(levels))


def _smaller(step: Step, share: float) -> Step:
    return Step(step.network, max(int(step.pixels * share), MIN_PIXELS))


class Governor:
    """Chooses a level from how many frames were done in time.

    Args:
        levels: best first.
        rate: target frames per second.
        now: monotonic time, in seconds.
    """

    def __init__(self, levels: Sequence[Level], rate: float, now: float) -> None:
        self._levels = list(levels)
        self._rate = rate
        self._start = 0
        self.reset(self._levels[0].step, now)

    @property
    def level(self) -> Level:
        """The current level."""
        return self._levels[self._at]

    @property
    def reduced(self) -> bool:
        """Whether the level is lower than at the start of this run."""
        return self._at > self._start

    def reset(self, start: Step, now: float, levels: Sequence[Level] = ()) -> Level:
        """Restart for another network, at a step that this machine should sustain.

        Args:
            levels: of that network, best first; empty to keep them.
        """
        self._levels = list(levels) or self._levels
        steps = [level.step for level in self._levels]
        self._at = self._start = steps.index(start) if start in steps else 0
        self._patience_s, self._raised_s = PATIENCE_S, float("-inf")
        self.restart(now)
        return self.level

    def restart(self, now: float) -> None:
        """Restart the measurement after a failure or a change of level."""
        self._window_s, self._done, self._missed, self._busy_s = now, 0, 0, 0.0
        self._well_s = now

    def frame(self, busy_s: float, missed: int, now: float) -> bool:
        """Record a finished frame.

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
        if now - self._raised_s < self._patience_s:  # the last step up was too demanding
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
        logger.info("network: %s", self.level)
