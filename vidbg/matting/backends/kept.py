"""A few things by key, of which the one unused for longest makes room for the next."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")

KEPT_SIZES = 4
"""Networks compiled for different sizes that a backend keeps: OpenVINO takes about 70 MB for each,
and half a second to compile it. The governor of a live run goes between four sizes."""


class Kept(Generic[Key, Made]):
    """Keeps the things that were used last; may be used by several threads.

    Args:
        most: things kept.
        drop: is called with each thing that makes room or is cleared away.
    """

    def __init__(self, most: int, drop: Callable[[Made], None] = lambda _: None) -> None:
        self._most, self._drop = most, drop
        self._made: OrderedDict[Key, Made] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Made | None:
        """What was added under the key, if it is still here; it is now the one used last."""
        with self._lock:
            if key in self._made:
                self._made.move_to_end(key)
            return self._made.get(key)

    def add(self, key: Key, made: Made) -> None:
        with self._lock:
            self._made[key] = made
            self._made.move_to_end(key)
            surplus = [
                self._made.popitem(last=False)[1] for _ in range(len(self._made) - self._most)
            ]
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
