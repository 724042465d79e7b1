"""Timing of the stages."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

KEPT = 4096
"""Measurements kept per stage: the last minutes of a live run."""


class StageClock:
    """Record of the durations of named stages; each stage is timed by one thread."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = {}
        self._begun: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start + self._begun.pop(name, 0.0))

    @contextmanager
    def beginning(self, name: str) -> Iterator[None]:
        """Time the first part of a stage that continues later; it is added to that stage."""
        start = time.perf_counter()
        yield
        self._begun[name] = time.perf_counter() - start

    def add(self, name: str, seconds: float) -> None:
        self._seconds.setdefault(name, deque(maxlen=KEPT)).append(seconds)

    def clear(self) -> None:
        """Forget everything, after a warm-up."""
        self._seconds.clear()

    def seconds(self) -> dict[str, list[float]]:
        """Return the latest durations per stage, in seconds, in order of first use."""
        return {name: list(values) for name, values in self._seconds.items()}
