"""Log file of a long run, rotated before it grows large."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer

from vidbg.errors import SinkError, VidbgError

MAX_BYTES, KEPT = 1_000_000, 4
"""Size at which a log is turned over, and how many older ones stay: 5 MB in all."""

LEVELS = ("debug", "info", "warning", "error")

_ROOT = logging.getLogger("vidbg")


@contextmanager
def log_to(file: Path | None, level: str) -> Iterator[None]:
    """Log the `with` block and how it ends to a file; None logs nothing.

    Raises:
        BadParameter: the level is unknown.
        SinkError: the file cannot be written.
    """
    if level not in LEVELS:
        raise typer.BadParameter(f"--log-level {level!r} is not known; allowed are {LEVELS}")
    if file is None:
        yield
        return
    handler = _open_log_file(file, level)
    before = _ROOT.level
    _ROOT.addHandler(handler)
    _ROOT.setLevel(min(_ROOT.getEffectiveLevel(), handler.level))
    try:
        yield
    except BaseException as error:
        handler.handle(_ending(error))
        raise
    finally:
        _ROOT.removeHandler(handler)
        _ROOT.setLevel(before)
        with suppress(OSError):  # nobody can read what is left in its buffer
            handler.close()


def _open_log_file(file: Path, level: str) -> logging.Handler:
    """Return a handler that writes to a file or to a pipe that is being read."""
    from vidbg.cli.log_file import LogFile

    reader = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_fifo():  # opening one waits until somebody reads it
            reader = os.open(file, os.O_WRONLY | os.O_NONBLOCK)
        handler = LogFile(file, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8")
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise SinkError(
                f"the log {file} is a pipe that nobody reads; start its reader first, or give the "
                "name of a file"
            ) from error
        raise SinkError(f"the log {file} cannot be written: {error}") from error
    finally:
        if reader is not None:
            os.close(reader)
    handler.setLevel(level.upper())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler


def _ending(error: BaseException) -> logging.LogRecord:
    """Return the log record for an error; standard error has already shown its own."""
    level, text, trace = logging.ERROR, f"failed: {error}", None
    if isinstance(error, KeyboardInterrupt):
        level, text = logging.INFO, "ended by Ctrl-C (SIGINT)"
    elif isinstance(error, SystemExit):
        level, text = logging.INFO, f"ended from outside, exit code {error.code}"
    elif not isinstance(error, VidbgError):  # a bug in vidbg: the traceback is needed
        trace = (type(error), error, error.__traceback__)
    return logging.LogRecord(__name__, level, __file__, 0, text, None, trace)
