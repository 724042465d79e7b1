"""Least-recently-used cache that releases what it evicts."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")

KEPT_SIZES = 4
"""Number of input sizes whose engines stay open. A live run's governor uses that many."""


class Kept(Generic[Key, Made]):
    """Thread-safe cache of the most recently used values.

    Args:
        maximum: number of values kept.
        drop: called with each value that is evicted or cleared.
    """

    def __init__(self, maximum: int, drop: Callable[[Made], None] = lambda _: None) -> None:
        self._maximum, self._drop = maximum, drop
        self._made: OrderedDict[Key, Made] = OrderedDict()
        self._used_s: dict[Key, float] = {}
        self._lock = threading.Lock()

    def get(self, key: Key) -> Made | None:
        """Return the value of a key and mark it as most recently used; None if it is absent."""
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
                self._used_s[key] = time.monotonic()
            return self._made.get(key)

    def add(self, key: Key, made: Made) -> None:
        with self._lock:
            self._made[key] = made
            self._made.move_to_end(key)
            self._used_s[key] = time.monotonic()
        self._evict(self._maximum)

    def make_room(self) -> None:
        """Evict now what the next new value would evict."""
        self._evict(self._maximum - 1)

    def drop_unused(self, seconds: float) -> bool:
        """Evict what was not used for so long; return whether there was anything."""
        now = time.monotonic()
        with self._lock:
            old = [key for key in self._made if now - self._used_s[key] > seconds]
            surplus = [self._made.pop(key) for key in old]
        for each in surplus:
            self._drop(each)
        return bool(surplus)

    def _evict(self, maximum: int) -> None:
        with self._lock:
            surplus = [self._made.popitem(last=False)[1] for _ in range(len(self._made) - maximum)]
        for each in surplus:
            self._drop(each)

    def clear(self) -> None:
        with self._lock:
            surplus = list(self._made.values())
            self._made.clear()
        for each in surplus:
            self._drop(each)

    def __len__(self) -> int:
        return len(self._made)
