"""Free backends once no call is running in them, and delay the end of Python until then.

A thread that is inside a native library while the interpreter shuts down crashes the process.
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
"""How long Python's exit waits for native calls in daemon threads, in seconds."""


_INTERRUPTED = re.compile(r"\bKeyboardInterrupt\b|\bSystemExit: (\d+)")


class _Gate:
    """Counter of the native calls that are running in any thread, until the gate is shut."""

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
        """Block new calls and wait for the running ones; returns whether all have finished."""
        with self._changed:
            self._shut = True
            return self._changed.wait_for(lambda: self._count == 0, patience_s)


_gate = _Gate()
under_way = _gate.passed
"""Context manager for work in native libraries (loading, computing): Python waits for it to end.

Raises:
    BackendError: Python is ending.
    KeyboardInterrupt, SystemExit: raised during the work, even if a library converted it.
"""


def interruption(error: BaseException) -> BaseException | None:
    """Return the Ctrl-C or exit behind an error; None if it is a genuine error.

    When a signal handler raises while a C++ library calls Python or is being imported, the library
    turns the exception into an ImportError or RuntimeError; some keep only the message.
    """
    chain: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is None or each in chain:
            continue
        if isinstance(each, (KeyboardInterrupt, SystemExit)):
            return each
        chain.append(each)
        left += [each.__cause__, each.__context__]
    words = _INTERRUPTED.search(" ".join(map(str, chain)))
    if words is None:
        return None
    return KeyboardInterrupt() if words[1] is None else SystemExit(int(words[1]))


class NativeBackend(ABC):
    """Base of backends that use native libraries: tracks the running calls of all threads.

    Args:
        name: device and library in readable form.
        precision: the precision that it computes in.
    """

    def __init__(self, name: str, precision: str) -> None:
        self.name, self.precision = name, precision
        self._calls = 0
        self._closed = self._freed = False
        self._lock = threading.Lock()
        _open.add(self)

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Keep the backend's resources alive during a call.

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
        """Free the device once running calls have finished; may be called more than once."""
        with self._lock:
            self._closed = True
            self._free_if_unused()

    def _free_if_unused(self) -> None:
        if self._closed and not self._calls and not self._freed:
            self._freed = True
            self._free()

    @abstractmethod
    def _free(self) -> None:
        """Release all of the library's objects. Called once, when no call is running."""


_open: WeakSet[NativeBackend] = WeakSet()


@atexit.register
def _finish_all() -> None:
    if not _gate.shut(EXIT_PATIENCE_S):
        logger.warning("a network is still being run while Python ends")
        return
    for backend in list(_open):
        backend.close()
