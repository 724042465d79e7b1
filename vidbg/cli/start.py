"""Entry point of the program: installs signal handlers before any slow import."""

from __future__ import annotations

import os
import signal
import sys
import threading

INTERRUPTED = 130

hung_up = threading.Event()
"""SIGHUP came before `vidbg run` was ready to read its settings anew."""


def main() -> None:
    """Entry point: Ctrl-C ends the start silently, and SIGHUP does not end a `vidbg run`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not under nohup
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    hangup = getattr(signal, "SIGHUP", None)
    if (
        hangup is not None
        and (
            next((word for word in sys.argv[1:] if not word.startswith("-")), None)
            in ("run", "app")
        )
        and not has_terminal()
    ):
        signal.signal(hangup, lambda *_: hung_up.set())
    from vidbg.cli.app import main as command_line

    command_line()


def heed_interrupts() -> None:
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
