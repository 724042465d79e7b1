"""Output frame timing."""

from __future__ import annotations

import math

MAX_SHIFT = 0.03
"""Maximum shift of one tick, as a share of the period. It is too small to notice."""

SLACK = 0.05
"""Target wait of a new frame before its tick, as a share of the period."""


class Pacer:
    """Steady output clock that adjusts its phase to the source.

    Ticks are one period apart. The clock is given the time each new frame waited
    for its tick and shifts until frames wait a twentieth of a period. Otherwise, with two clocks of
    equal rate and random phase, the mean wait would stay constant at up to a whole period.

    Args:
        period_s: of the output, in seconds.
        now: monotonic time, in seconds.
    """

    def __init__(self, period_s: float, now: float) -> None:
        self._period_s = period_s
        self._due = now

    def wait_s(self, now: float) -> float:
        """Return the seconds from `now` to the next tick, 0 if it has passed."""
        return max(0.0, self._due - now)

    def tick(self, now: float, waited_s: float | None) -> None:
        """Record a tick and schedule the next.

        Args:
            waited_s: how long the newest frame had waited, below 0 if it came after the tick; None
                for a repeated frame.
        """
        self._due += self._period_s
        if waited_s is not None:
            ahead = (waited_s / self._period_s) % 1.0 - SLACK
            if ahead > 0.5:  # shorter: move the tick later so that the next frame is in time
                ahead -= 1.0
            shift = max(-MAX_SHIFT, min(MAX_SHIFT, 0.1 * ahead))
            self._due -= shift * self._period_s
        if self._due <= now:  # late: skip the missed ticks, keep the phase
            self._due += math.ceil((now - self._due) / self._period_s) * self._period_s
