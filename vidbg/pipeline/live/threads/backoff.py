"""Delays between the attempts of a part that fails."""

from __future__ import annotations

import time

GROWTH = 1.5
"""Growth factor of the wait from one failure to the next."""

SETTLED_S = 5.0
"""Time without a failure after which a part counts as working."""


class Backoff:
    """Retry delays that grow by half each time, up to a limit.

    Recovery from a fault of up to two seconds takes little longer than the fault, so the last
    frame is still held.

    Args:
        first_s, max_s: the first wait and the longest.
    """

    def __init__(self, first_s: float = 0.25, max_s: float = 2.0) -> None:
        self._first_s, self._max_s = first_s, max_s
        self._next_s, self._failed_s = first_s, 0.0

    def next_s(self) -> float:
        """Return the wait after another failure, in seconds."""
        wait_s, self._failed_s = self._next_s, time.monotonic()
        self._next_s = min(GROWTH * wait_s, self._max_s)
        return wait_s

    def worked(self) -> None:
        """Reset the delays after a while of success, as some devices fail just after they open."""
        if time.monotonic() - self._failed_s > SETTLED_S:
            self._next_s = self._first_s
