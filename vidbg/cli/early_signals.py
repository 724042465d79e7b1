"""Signals of the first moments: what the start and the commands have to agree on."""

from __future__ import annotations

import os
import signal
import threading

INTERRUPTED = 130
"""Exit code after Ctrl-C."""

hung_up = threading.Event()
"""SIGHUP came before `vidbg run` was ready to read its settings again."""


def restore_interrupts() -> None:
    """Make Ctrl-C raise KeyboardInterrupt, so that cleanup code runs."""
    if callable(signal.getsignal(signal.SIGINT)):
        signal.signal(signal.SIGINT, signal.default_int_handler)


def has_terminal() -> bool:
    """Return whether a terminal controls this process; it sends SIGHUP when it is closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
