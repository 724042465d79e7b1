"""Threads that can be replaced when they hang."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

MAX_STEP_S = 0.5
"""Two polls of a deadline are never further apart than this unless the process stands still."""


class ReplaceableThread:
    """A worker thread that is replaced when it hangs.

    Python cannot kill a thread, so the old one is abandoned. It must check `current` after every
    call that may hang, and return without touching anything if that is False.

    Args:
        name: of the threads.
        work: called with the number of its turn.
        max_left: maximum number of hanging threads, above which no other is started.
    """

    def __init__(self, name: str, work: Callable[[int], None], max_left: int) -> None:
        self._name, self._work, self._max_left = name, work, max_left
        self._turn = 0
        self._thread: threading.Thread | None = None
        self._left: list[threading.Thread] = []

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self._work, args=(self._turn,), name=f"vidbg-{self._name}", daemon=True
        )
        self._thread.start()

    def current(self, turn: int) -> bool:
        """Return whether this turn is still the current one."""
        return turn == self._turn

    def replace(self) -> bool:
        """Abandon the thread and start another. Returns False if too many already hang."""
        self.abandon()
        return self.revive()

    def abandon(self) -> None:
        """Take the thread's turn away, so that what it gives no longer counts."""
        if self._thread is not None:
            self._left.append(self._thread)
            self._thread = None
        self._turn += 1

    def revive(self) -> bool:
        """Start a thread if there is none and few enough hang; return whether one exists."""
        self._left = [thread for thread in self._left if thread.is_alive()]
        if self._thread is None and len(self._left) <= self._max_left:
            self.start()
        return self._thread is not None

    def end(self, patience_s: float) -> bool:
        """End the current turn, wait, and return whether every thread has ended."""
        self._turn += 1
        deadline = time.monotonic() + patience_s
        for thread in [*self._left, self._thread]:
            if thread is not None and thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
                if thread.is_alive():
                    logger.info("%s is left behind", thread.name)
                    return False
        return True


class Deadline:
    """Measures how long a call that may hang has been running.

    Time counts only while `overdue_s` is polled, and at most MAX_STEP_S between two polls: while
    the whole process stands still (stopped, frozen, starved, a sleeping laptop), no call in it can
    make progress and none is at fault.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._allowed_s = 0.0
        self._call_s: float | None = None
        self._polled_s = self._taken_s = 0.0

    @contextmanager
    def over(self, allowed_s: float) -> Iterator[None]:
        """Time a call that may take up to `allowed_s` seconds."""
        self._allowed_s, self._since = allowed_s, time.monotonic()
        try:
            yield
        finally:
            self._since = None

    @property
    def running_s(self) -> float:
        """How long the present call has been running, in seconds; 0 if there is none."""
        since = self._since
        return 0.0 if since is None else time.monotonic() - since

    def overdue_s(self) -> float | None:
        """Return how long the call has taken, in seconds, if it is overdue, else None.

        Call this a few times a second, from one thread.
        """
        since, now = self._since, time.monotonic()
        if since != self._call_s:
            self._call_s, self._polled_s, self._taken_s = since, now, 0.0
            if since is not None:
                self._taken_s = min(now - since, MAX_STEP_S)
        if since is None:
            return None
        self._taken_s += min(now - self._polled_s, MAX_STEP_S)
        self._polled_s = now
        return self._taken_s if self._taken_s > self._allowed_s else None
