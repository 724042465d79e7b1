"""The command line: `vidbg COMMAND`. A command is imported when it is called."""

from __future__ import annotations

import logging
import signal
from typing import Annotated

import typer

import vidbg
from vidbg.cli.commands import CommandGroup
from vidbg.cli.early_signals import INTERRUPTED, restore_interrupts
from vidbg.cli.leaving import ENDING_SIGNALS, insisting, leave
from vidbg.cli.option_names import current_name
from vidbg.cli.streams import secure_streams
from vidbg.errors import ConfigError, VidbgError

WRONG_USAGE = 2

app = typer.Typer(
    name="vidbg",
    cls=CommandGroup,
    help="Replace the background behind a person, in real time.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": current_name,
    },
)


def show_version(asked: bool) -> None:
    """Print the version and exit, if --version is given."""
    if asked:
        typer.echo(f"vidbg {vidbg.__version__}")
        raise typer.Exit


@app.callback()
def global_options(
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Log what happens, and show tracebacks of errors."),
    ] = False,
    version: Annotated[  # noqa: ARG001  (handled by its callback)
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Set up signals and logging for every command."""
    restore_interrupts()
    log = logging.getLogger("vidbg")
    log.setLevel(logging.DEBUG if verbose else logging.WARNING)
    handler = _StandardError(log.level)  # a log file may want more than standard error
    handler.setFormatter(
        logging.Formatter(
            "%(levelname)s %(name)s: %(message)s" if verbose else "vidbg: %(message)s"
        )
    )
    log.handlers = [handler]


class _StandardError(logging.Handler):
    """Handler that looks up sys.stderr for each line, because a progress bar replaces it."""

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(self.format(record), err=True)


def main() -> None:
    """Entry point: one line for an error and exit 1; 2 for wrong usage; 130 for Ctrl-C.

    SIGTERM (exit code 143) and SIGHUP (129) also remove incomplete files.
    """

    def terminated(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    secure_streams()
    with insisting():
        for number in ENDING_SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:  # not under nohup
                signal.signal(number, terminated)
        code = _exit_code()
    leave(code)


def _exit_code() -> int:
    """Run the command, and print an error in one line."""
    try:
        app(standalone_mode=True)
    except (VidbgError, OSError, MemoryError, ImportError) as error:
        logging.getLogger(__name__).debug("failed", exc_info=error)
        typer.echo(f"vidbg: {message_of(error)}", err=True)
        return WRONG_USAGE if isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        typer.echo(end.code, err=True)
        return 1
    return 0


def message_of(error: Exception) -> str:
    """Say what an error is that ends the program."""
    match error:
        case OSError():  # a full disk, or a standard output that accepts no more data
            where = "" if error.filename is None else f"{error.filename}: "
            return f"{where}{error.strerror or error}"
        case MemoryError():
            return "out of memory; close other programs"
        case ImportError() if "failed to map segment" in str(error):
            words = "out of memory, or its disk is mounted with noexec"
            return f"a library cannot be loaded: {error}; {words}"
        case ImportError():
            return f"a library cannot be loaded: {error}; reinstall vidbg"
    return str(error)
