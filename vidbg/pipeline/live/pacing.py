"""When the next frame goes out, and how long to wait before the next try."""

from __future__ import annotations

import math
import time

MAX_SHIFT = 0.03
"""Most that one tick moves against the last, as a share of the period: nobody sees it."""

SLACK = 0.05
"""How long a new frame may lie before its tick, as a share of the period."""


GROWTH = 1.5
"""Of the wait from one failure to the next."""

SETTLED_S = 5.0
"""What has not failed for so long works."""


class Pacer:
    """A steady clock that leans towards the source's.

    Ticks are one period apart. Told how long each new frame had to wait for its tick, the clock
    moves until frames wait a twentieth of a period: with two clocks of equal rate and any phase,
    the mean wait would otherwise stay wherever chance put it, up to a whole period.

    Args:
        period_s: of the output, in seconds.
        now: monotonic time, in seconds.
    """

    def __init__(self, period_s: float, now: float) -> None:
        self._period_s = period_s
        self._due = now

    def wait_s(self, now: float) -> float:
        """Seconds from `now` to the next tick, 0 if it is over."""
        return max(0.0, self._due - now)

    def tick(self, now: float, waited_s: float | None) -> None:
        """A tick has happened; plan the next.

        Args:
            waited_s: how long the newest frame had waited, below 0 if it came after the tick; None
                where it is an old one.
        """
        self._due += self._period_s
        if waited_s is not None:
            self._lean(waited_s)
        if self._due <= now:  # late: leave out the ticks that are over, keep the phase
            self._due += math.ceil((now - self._due) / self._period_s) * self._period_s

    def _lean(self, waited_s: float) -> None:
        ahead = (waited_s / self._period_s) % 1.0 - SLACK
        if ahead > 0.5:  # the shorter way round is to let the next frame come in time
            ahead -= 1.0
        shift = max(-MAX_SHIFT, min(MAX_SHIFT, 0.1 * ahead))
        self._due -= shift * self._period_s


class Backoff:
    """Seconds to wait before each next try: half as long again each time, up to a limit.

    What is over within two seconds is tried again within little more, while the last frame is held.

    Args:
        first_s, most_s: the first wait and the longest.
    """

    def __init__(self, first_s: float = 0.25, most_s: float = 2.0) -> None:
        self._first_s, self._most_s = first_s, most_s
        self._next_s, self._failed_s = first_s, 0.0

    def next_s(self) -> float:
        """The wait after one more failure."""
        wait_s, self._failed_s = self._next_s, time.monotonic()
        self._next_s = min(GROWTH * wait_s, self._most_s)
        return wait_s

    def worked(self) -> None:
        """Begin anew if it has worked for a while: some things fail a moment after they open."""
        if time.monotonic() - self._failed_s > SETTLED_S:
            self._next_s = self._first_s
