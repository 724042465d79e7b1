"""Process exit, even when a thread cannot be stopped."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import NoReturn

logger = logging.getLogger(__name__)

ENDING_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]

AGAIN_S = 0.05
"""Delay before a signal that was lost is sent again."""


@contextmanager
def insisting() -> Iterator[None]:
    """Send a signal again if the exception that its handler raised inside the block was lost.

    Python drops exceptions raised in weak reference callbacks and finalizers. Every import runs
    some of them, so a Ctrl-C during an import could have no effect.
    """
    before = sys.unraisablehook
    lost: SimpleQueue[sys.UnraisableHookArgs | None] = SimpleQueue()
    ended = threading.Event()
    sender = threading.Thread(target=_send_again, args=(lost, ended, before), daemon=True)
    sender.start()
    # A hook written in Python could itself be interrupted by the next signal, and lose both.
    sys.unraisablehook = lost.put
    try:
        yield
    finally:
        sys.unraisablehook = before
        ended.set()
        lost.put(None)
        sender.join()


def _send_again(
    lost: SimpleQueue[sys.UnraisableHookArgs | None],
    ended: threading.Event,
    report: Callable[[sys.UnraisableHookArgs], object],
) -> None:
    """Send lost signals to the main thread; report lost exceptions of other kinds."""
    while (what := lost.get()) is not None:
        number = _signal_of(what.exc_value)
        if number is None:
            report(what)
            continue
        del what  # its traceback keeps the frames of the callback alive
        if ended.wait(AGAIN_S):  # at once, the main thread would still be in the callback
            continue
        if hasattr(signal, "pthread_kill"):  # a real signal ends a sleep or a wait as well
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        else:
            signal.raise_signal(number)


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
    Another signal from here on ends the process at once, without a traceback.
    """
    if threading.current_thread() is threading.main_thread():
        for number in ENDING_SIGNALS:
            if callable(signal.getsignal(number)):
                signal.signal(number, lambda number, _: os._exit(128 + number))
    left = [thread.name for thread in threading.enumerate() if _is_ours(thread)]
    if left:
        logger.debug("still running: %s", ", ".join(left))
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # the stream is closed, or its reader has gone
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _is_ours(thread: threading.Thread) -> bool:
    return thread.daemon and thread.name.startswith("vidbg")
