"""Entry point of the program: installs signal handlers before any slow import."""

from __future__ import annotations

import os
import signal
import sys

from vidbg.cli.early_signals import INTERRUPTED, has_terminal, hung_up


def main() -> None:
    """Entry point: Ctrl-C ends the start silently, and SIGHUP does not end a `vidbg run`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not under nohup
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    hangup = getattr(signal, "SIGHUP", None)
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    if hangup is not None and command in ("run", "app") and not has_terminal():
        signal.signal(hangup, lambda *_: hung_up.set())
    from vidbg.cli.app import main as command_line

    command_line()
