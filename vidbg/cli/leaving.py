"""The end of the process, also where a thread cannot be ended."""

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
    """Have a signal come again if what its handler raised was lost, inside.

    Python drops what is raised in the callbacks of weak references, of which every import runs
    some, so that a Ctrl-C while something is being imported would end nothing.
    """
    before = sys.unraisablehook

    def lost(what: sys.UnraisableHookArgs) -> None:
        number = _signal_of(what.exc_value)
        if number is None:
            before(what)
        else:  # a little later: here it would be lost again
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
    """Exit, everything having been closed.

    A daemon thread that is still inside a native library (a driver that hangs, a network that is
    being compiled) would crash the process while Python takes itself down, so that is left out.
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
        with suppress(OSError, ValueError):  # closed, or its reader has gone
            stream.flush()
    os._exit(code)
