"""Closes backends when no call is under way in them, at the latest before Python ends.

A thread that is inside a native library while the interpreter is taken down crashes the process.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

from vidbg.errors import BackendError

logger = logging.getLogger(__name__)

EXIT_PATIENCE_S = 20.0
"""How long the end of Python waits for calls that are under way in daemon threads."""


class NativeBackend(ABC):
    """The part of a backend that knows which calls are under way, from whatever thread.

    Args:
        name: device and library for people.
        precision: what it computes in.
    """

    def __init__(self, name: str, precision: str) -> None:
        self.name, self.precision = name, precision
        self._calls = 0
        self._closed = self._freed = False
        self._changed = threading.Condition()
        _open.add(self)

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Keep what the backend holds for as long as a call takes.

        Raises:
            BackendError: the backend has been closed.
        """
        with self._changed:
            if self._closed:
                raise BackendError(f"{self.name} was called after it was closed")
            self._calls += 1
        try:
            yield
        finally:
            with self._changed:
                self._calls -= 1
                self._free_if_unused()

    def close(self) -> None:
        """Free the device once the calls under way are over; may be called more than once."""
        with self._changed:
            self._closed = True
            self._free_if_unused()

    def finish(self, patience_s: float) -> bool:
        """Close, and wait for the calls under way; whether they are over."""
        self.close()
        with self._changed:
            return self._changed.wait_for(lambda: self._freed, patience_s)

    def _free_if_unused(self) -> None:
        if self._closed and not self._calls and not self._freed:
            self._free()
            self._freed = True
            self._changed.notify_all()

    @abstractmethod
    def _free(self) -> None:
        """Let go of everything that the library made; called once, with no call under way."""


_open: WeakSet[NativeBackend] = WeakSet()


@atexit.register
def _finish_all() -> None:
    deadline = time.monotonic() + EXIT_PATIENCE_S
    for backend in list(_open):
        if not backend.finish(max(0.0, deadline - time.monotonic())):
            logger.warning("%s is still computing while the program ends", backend.name)
