"""Process exit, even when a thread cannot be stopped."""

from __future__ import annotations

import _thread
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

logger = logging.getLogger(__name__)

AGAIN_S = 0.02
"""After so long a signal that was lost comes again."""


@contextmanager
def insisting() -> Iterator[None]:
    """Send a signal again if the exception that its handler raised inside the block was lost.

    Python drops exceptions raised in weak reference callbacks. Every import runs some of them, so a
    Ctrl-C during an import could have no effect.
    """
    before = sys.unraisablehook

    def lost(what: sys.UnraisableHookArgs) -> None:
        number = _signal_of(what.exc_value)
        if number is None:
            before(what)
        else:  # after a short delay: an exception raised here would be lost again
            again = threading.Timer(AGAIN_S, _thread.interrupt_main, [number])
            again.daemon = True
            again.start()

    sys.unraisablehook = lost
    try:
        yield
    finally:
        sys.unraisablehook = before


def _signal_of(error: BaseException | None) -> int | None:
    if isinstance(error, KeyboardInterrupt):
        return signal.SIGINT
    if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > 128:
        return error.code - 128
    return None


def leave(code: int) -> NoReturn:
    """Exit the process after everything has been closed.

    A daemon thread that is still inside a native library (a driver that hangs, a network that is
    being compiled) would crash the process during Python's shutdown, so the shutdown is skipped.
    """
    left = [thread.name for thread in threading.enumerate() if _is_ours(thread)]
    if left:
        logger.debug("still running: %s", ", ".join(left))
        _end_at_once(code)
    sys.exit(code)


def _is_ours(thread: threading.Thread) -> bool:
    return thread.daemon and thread.name.startswith("vidbg")


def _end_at_once(code: int) -> NoReturn:
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the stream is closed, or its reader has gone
            stream.flush()
    os._exit(code)
