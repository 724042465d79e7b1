"""Frees backends when no call is under way in them, and lets Python end only then.

A thread that is inside a native library while the interpreter is taken down crashes the process.
"""

from __future__ import annotations

import atexit
import logging
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

from vidbg.errors import BackendError

logger = logging.getLogger(__name__)

EXIT_PATIENCE_S = 20.0
"""How long the end of Python waits for what is under way in daemon threads."""


_INTERRUPTED = re.compile(r"\bKeyboardInterrupt\b|\bSystemExit: (\d+)")


class _Gate:
    """Counts what is under way in native libraries, in any thread, until the gate is shut."""

    def __init__(self) -> None:
        self._count = 0
        self._shut = False
        self._changed = threading.Condition()

    @contextmanager
    def passed(self) -> Iterator[None]:
        with self._changed:
            if self._shut:
                raise BackendError("Python ends, and no network is run any more")
            self._count += 1
        try:
            yield
        except Exception as error:
            asked = interruption(error)
            if asked is not None:
                raise asked from None
            raise
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def shut(self, patience_s: float) -> bool:
        """Let nobody pass any more, and wait; whether nothing is under way."""
        with self._changed:
            self._shut = True
            return self._changed.wait_for(lambda: self._count == 0, patience_s)


_gate = _Gate()
under_way = _gate.passed
"""Context manager for work in native libraries (loading, computing): Python ends after it.

Raises:
    BackendError: Python is ending.
    KeyboardInterrupt, SystemExit: came meanwhile, though a library made another error of it.
"""


def interruption(error: BaseException) -> BaseException | None:
    """The Ctrl-C or exit that an error stands for; None where it is an error of its own.

    A library in C++ that calls Python, or is being imported, makes an ImportError or RuntimeError
    of whatever is raised there by a signal's handler; in some only the words are left.
    """
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is None or each in seen:
            continue
        if isinstance(each, (KeyboardInterrupt, SystemExit)):
            return each
        seen.append(each)
        left += [each.__cause__, each.__context__]
    words = _INTERRUPTED.search(" ".join(map(str, seen)))
    if words is None:
        return None
    return KeyboardInterrupt() if words[1] is None else SystemExit(int(words[1]))


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
        self._lock = threading.Lock()
        _open.add(self)

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Keep what the backend holds for as long as a call takes.

        Raises:
            BackendError: the backend has been closed.
        """
        with self._lock:
            if self._closed:
                raise BackendError(f"{self.name} was called after it was closed")
            self._calls += 1
        try:
            with under_way():
                yield
        finally:
            with self._lock:
                self._calls -= 1
                self._free_if_unused()

    def close(self) -> None:
        """Free the device once the calls under way are over; may be called more than once."""
        with self._lock:
            self._closed = True
            self._free_if_unused()

    def _free_if_unused(self) -> None:
        if self._closed and not self._calls and not self._freed:
            self._freed = True
            self._free()

    @abstractmethod
    def _free(self) -> None:
        """Let go of everything that the library made; called once, with no call under way."""


_open: WeakSet[NativeBackend] = WeakSet()


@atexit.register
def _finish_all() -> None:
    if not _gate.shut(EXIT_PATIENCE_S):
        logger.warning("a network is still being run while Python ends")
        return
    for backend in list(_open):
        backend.close()
