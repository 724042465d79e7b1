"""A bounded queue between two threads that can end, fail or be abandoned without a hang."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Abandoned(Exception):
    """The other side gave up, so this side's work is no longer needed."""


class Mailbox(Generic[T]):
    """Queue of items from one thread to another, in order.

    Args:
        capacity: items held, at least 1; may change.
        newest: when full, put() drops the oldest item and counts it, instead of waiting.

    Attributes:
        dropped: items that put() dropped.
    """

    def __init__(self, capacity: int, *, newest: bool = False) -> None:
        self.dropped = 0
        self._items: deque[T] = deque()
        self.capacity = capacity
        self._newest = newest
        self._closed = False
        self._abandoned = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def put(self, item: T) -> None:
        """Add an item; wait for room unless `newest` is set.

        Raises:
            Abandoned: nobody will take it.
        """
        with self._changed:
            while self._newest and len(self._items) >= self.capacity:
                self._items.popleft()
                self.dropped += 1
            self._wait(lambda: len(self._items) < self.capacity)
            self._items.append(item)
            self._changed.notify_all()

    @property
    def empty(self) -> bool:
        """Return whether the queue is empty."""
        return not self._items

    def close(self, error: BaseException | None = None) -> None:
        """Mark the end: the reader gets the remaining items, then the end or the error."""
        with self._changed:
            self._closed = True
            self._error = error
            self._changed.notify_all()

    def abandon(self) -> None:
        """Give up, from either side: waiting and later calls raise Abandoned."""
        with self._changed:
            self._abandoned = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Yield items until the end.

        Raises:
            Abandoned: the other side gave up; or the error that close() was given.
        """
        while True:
            with self._changed:
                self._wait(lambda: bool(self._items) or self._closed)
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error

    def _wait(self, ready: Callable[[], bool]) -> None:
        # In slices, because Ctrl-C does not interrupt an endless wait on Windows.
        while not self._abandoned and not self._changed.wait_for(
            lambda: self._abandoned or ready(), timeout=0.5
        ):
            pass
        if self._abandoned:
            raise Abandoned
