"""The file that a log is written to."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler

import typer


class LogFile(RotatingFileHandler):
    """A log file, or a pipe. One that cannot be written to any more is told once, and the program
    goes on without it."""

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
            f"vidbg: the log {self.baseFilename} cannot be written to any more "
            f"({error.strerror or error}); the program goes on without it",
            err=True,
        )
