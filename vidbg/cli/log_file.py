"""Log file that survives write errors."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler

import typer


class LogFile(RotatingFileHandler):
    """A log file or a pipe. A write failure is reported once, and the program
    continues without the log."""

    failed = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self.failed:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self.failed = True
        typer.echo(
            f"vidbg: the log {self.baseFilename} can no longer be written to "
            f"({error.strerror or error}); the program continues without it",
            err=True,
        )
