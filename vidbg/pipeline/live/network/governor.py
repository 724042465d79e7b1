"""Keeps the frame rate: climbs and descends the ladder of networks and input sizes."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from vidbg.matting.ladder import Step, ever_cheaper
from vidbg.platform.processor import usable_cores
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

FITS, ROOM = 0.9, 0.75
"""Maximum expected load, as a share of the time, of a level that was seen to hold the rate lately,
or to go down to, and of a level to go up to otherwise."""

PATIENCE_S, MAX_PATIENCE_S = 6.0, 96.0
"""How long the rate must hold before a larger step is tried, and the maximum. The time doubles
when that step proves too demanding."""

BUSY_WINDOWS = 2
"""Number of consecutive measurements above the CPU limit before the level is lowered."""

WITHIN = 0.9
"""Share of the CPU limit below which a run that exceeded it at the last level keeps to it again."""

NETWORK_SHARE = 0.7
"""Share of the run's CPU time that is the network's: tells what a level costs that was not measured
lately."""

REMEMBERED_S = 300.0
"""How long a measurement of a level counts."""

STEADY_WINDOWS = 6
"""Number of measurements that are averaged before a larger step is tried, or a limit that cannot be
kept is reported."""


@dataclass(frozen=True, slots=True)
class Level:
    """The load put on the network.

    Attributes:
        step: the network and its input size.
        every: run on one frame in this many; motion propagates the alpha to the others.
        step_cost: of the step for the run's frames; None for its usual cost.
    """

    step: Step
    every: int = 1
    step_cost: float | None = field(default=None, compare=False)

    @property
    def cost(self) -> float:
        """A number proportional to the network's work per frame."""
        return (self.step.cost if self.step_cost is None else self.step_cost) / self.every

    def __str__(self) -> str:
        return str(self.step) if self.every == 1 else f"{self.step}, one frame of {self.every}"


def levels_of(steps: Sequence[Step], frame_size: tuple[int, int]) -> list[Level]:
    """List the levels of a ladder's steps, best first, then those for slow machines.

    Each costs less than the one before it: levels that do not are left out, as some are for small
    frames.

    Args:
        steps: from the cheapest to the best, of `live_steps`.
        frame_size: height and width in pixels.
    """

    def level(step: Step, every: int = 1) -> Level:
        return Level(step, every, step.cost_for(frame_size))

    cheapest = steps[0]
    levels = [level(step) for step in reversed(steps)]
    if len(steps) == 1:
        levels += [level(_smaller(cheapest, share)) for share in reversed(SMALLER_SHARES)]
        cheapest = levels[-1].step
    levels += [level(_smaller(cheapest, share), every) for share, every in LAST_RESORTS]
    return ever_cheaper(levels, lambda each: each.cost)


def _smaller(step: Step, share: float) -> Step:
    return Step(step.network, max(int(step.pixels * share), MIN_PIXELS))


@dataclass(frozen=True, slots=True)
class _Held:
    """The last time that a level held the rate, and the share of the computer's CPU time then."""

    cpu: float
    at_s: float


def computer_s() -> float:
    """Return this process's CPU time as seconds of all the cores that it may use."""
    return time.process_time() / usable_cores()


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a level did for about a second.

    Attributes:
        held: whether enough frames were done in time.
        rested: whether the network ran too rarely to tell how busy it will be: nothing moves.
        load: share of the time that the network takes.
        cpu: share of the computer's CPU time that the run takes.
    """

    held: bool
    rested: bool
    load: float
    cpu: float


class Window:
    """Frames of one measurement.

    Args:
        now: monotonic time, in seconds.
        cpu_s: CPU time of this process, in seconds of the whole computer.
    """

    def __init__(self, now: float, cpu_s: float) -> None:
        self._start_s, self._start_cpu_s = now, cpu_s
        self._done, self._missed = 0, 0
        self._worked_s: list[float] = []

    def add(self, busy_s: float, missed: int, *, worked: bool) -> None:
        """Count a frame, see `Governor.frame`."""
        self._done += 1
        self._missed += missed
        if worked:
            self._worked_s.append(busy_s)

    def is_over(self, now: float) -> bool:
        """Return whether it is long enough for a measurement."""
        return now - self._start_s >= WINDOW_S

    def measure(self, rate: float, every: int, now: float, cpu_s: float) -> Measurement:
        """Return the measurement.

        Args:
            rate: target frames per second.
            every: the network runs on one frame in this many.
        """
        passed_s = now - self._start_s
        wanted = min((self._done + self._missed) / passed_s, rate)
        # The median: a single frame that had to wait for seconds says nothing about the others
        busy_s = median(self._worked_s or [0.0])
        return Measurement(
            held=self._done / passed_s >= HELD * wanted,
            rested=len(self._worked_s) * every < self._done / 2,
            load=busy_s * wanted / every,
            cpu=(cpu_s - self._start_cpu_s) / passed_s,
        )


class Governor:
    """Chooses a level from how many frames were done in time and how much CPU time they took.

    Args:
        levels: best first.
        rate: target frames per second.
        now: monotonic time, in seconds.
        cpu_limit: maximum share of the computer's CPU time, 0 to 1.
        cpu_s: returns the CPU time of this process, in seconds of the whole computer.

    Attributes:
        limited: whether the level was last lowered for the CPU limit, not for the frame rate.
        over_limit: share of the computer's CPU time that the run uses although the level is the
            last; None while it keeps to its limit.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        rate: float,
        now: float,
        *,
        cpu_limit: float = 1.0,
        cpu_s: Callable[[], float] = computer_s,
    ) -> None:
        self._levels = list(levels)
        self._rate = rate
        self._cpu_limit, self._cpu_s = cpu_limit, cpu_s
        self._start = 0
        self.limited = False
        self.over_limit: float | None = None
        self.reset(self._levels[0].step, now)

    @property
    def level(self) -> Level:
        """The current level."""
        return self._levels[self._at]

    @property
    def reduced(self) -> bool:
        """Whether the level is lower than at the start of this run."""
        return self._at > self._start

    @property
    def cpu_limit(self) -> float:
        """Maximum share of the computer's CPU time, 0 to 1."""
        return self._cpu_limit

    def reset(
        self,
        start: Step,
        now: float,
        levels: Sequence[Level] = (),
        cpu_limit: float | None = None,
    ) -> Level:
        """Restart for another network, at a step that this machine should sustain.

        Args:
            levels: of that network, best first; empty to keep them.
            cpu_limit: as at the start; None to keep it.
        """
        self._levels = list(levels) or self._levels
        if cpu_limit is not None:
            self._cpu_limit = cpu_limit
        steps = [level.step for level in self._levels]
        self._at = self._start = steps.index(start) if start in steps else 0
        self._patience_s, self._raised_s = PATIENCE_S, float("-inf")
        self._held: dict[Level, _Held] = {}
        self.limited, self.over_limit = False, None
        self.restart(now)
        return self.level

    def aim(self, *, rate: float | None = None, cpu_limit: float | None = None) -> None:
        """Change the frame rate, or the share of the computer's CPU time; None keeps them."""
        self._rate = self._rate if rate is None else rate
        self._cpu_limit = self._cpu_limit if cpu_limit is None else cpu_limit
        self.over_limit = None  # measured for another rate or limit

    def restart(self, now: float) -> None:
        """Restart the measurement after a failure or a change of level."""
        self._window = Window(now, self._cpu_s())
        self._well_s, self._busy_windows = now, 0
        self._loads: deque[float] = deque(maxlen=STEADY_WINDOWS)
        self._cpus: deque[float] = deque(maxlen=STEADY_WINDOWS)

    def frame(self, busy_s: float, missed: int, now: float, *, worked: bool = True) -> bool:
        """Record a finished frame.

        Args:
            busy_s: how long it took, in seconds.
            missed: frames that were dropped since the one before it.
            now: monotonic time, in seconds.
            worked: whether the network ran; otherwise the frame says nothing about its cost.
        Returns:
            Whether the level has changed.
        """
        self._window.add(busy_s, missed, worked=worked)
        if not self._window.is_over(now):
            return False
        cpu_s = self._cpu_s()
        measured = self._window.measure(self._rate, self.level.every, now, cpu_s)
        self._window = Window(now, cpu_s)
        cpu = measured.cpu
        if not measured.rested:
            self._busy_windows = self._busy_windows + 1 if cpu > self._cpu_limit else 0
            self._cpus.append(cpu)
            # Is the limit exceeded at the last level, too? The mean of some time tells
            steady = len(self._cpus) == STEADY_WINDOWS and self._at == len(self._levels) - 1
            usual = fmean(self._cpus)
            if steady and usual > self._cpu_limit:
                self.over_limit = usual
            elif usual <= WITHIN * self._cpu_limit:
                self.over_limit = None
        # The frame rate first, then the CPU limit, then quality
        if not measured.held:
            if now - self._raised_s < self._patience_s:
                self._held.pop(self.level, None)
            load = measured.load
            return self._lower(lambda level: load * level.cost / self.level.cost <= FITS, now)
        if measured.rested:
            return False
        self._held[self.level] = _Held(cpu, now)
        self._loads.append(measured.load)
        if self._busy_windows >= BUSY_WINDOWS:
            return self._lower(
                lambda level: self._expected_cpu(level, cpu) <= self._cpu_limit, now, True
            )
        return not self._busy_windows and self._try_more(fmean(self._loads), cpu, now)

    def _expected_cpu(self, level: Level, cpu: float) -> float:
        """Return the share of CPU time at another level, from that at the current one."""
        return cpu * (1 + NETWORK_SHARE * (level.cost / self.level.cost - 1))

    def _lower(self, fits: Callable[[Level], bool], now: float, limited: bool = False) -> bool:
        """Go down to the best level that fits, or else to the cheapest that skips no more frames.

        Frames are only skipped once the cheapest level that skips no more than now has been tried:
        a mask that follows late is shown late.

        Args:
            limited: whether that is for the CPU limit.
        Returns:
            Whether there is a lower level.
        """
        self._well_s = now
        lower = self._levels[self._at + 1 :]
        if not lower:
            return False
        alike = [level for level in lower if level.every == self.level.every] or lower[:1]
        fitting = [level for level in alike if fits(level)]
        self.limited = limited
        self._move(self._levels.index(fitting[0] if fitting else alike[-1]), now)
        return True

    def _try_more(self, load: float, cpu: float, now: float) -> bool:
        if self._at == 0 or now - self._well_s < self._patience_s:
            return False
        better = self._levels[self._at - 1]
        growth = better.cost / self.level.cost
        expected_cpu, room = self._expected_cpu(better, cpu), ROOM
        held = self._held.get(better)
        if held is not None and now - held.at_s < REMEMBERED_S:
            expected_cpu, room = held.cpu, FITS
        if load * growth > room or expected_cpu > self._cpu_limit:
            return False
        self._move(self._at - 1, now)
        self._raised_s = now
        return True

    def _move(self, at: int, now: float) -> None:
        if at > self._at and now - self._raised_s < self._patience_s:  # the last step up was wrong
            self._patience_s = min(2 * self._patience_s, MAX_PATIENCE_S)
        self._at = at
        self.restart(now)
        logger.info("network: %s", self.level)
