"""The command line: `vidbg COMMAND`. Each command imports heavy libraries when it runs."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

import vidbg
from vidbg.cli.bench import bench
from vidbg.cli.demo import demo
from vidbg.cli.devices import devices
from vidbg.cli.doctor import doctor
from vidbg.cli.process import process
from vidbg.cli.run import run
from vidbg.errors import VidbgError

INTERRUPTED = 130

app = typer.Typer(
    name="vidbg",
    help="Another background behind a person, in real time.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (process, run, bench, devices, doctor, demo):
    app.command()(command)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"vidbg {vidbg.__version__}")
        raise typer.Exit


@app.callback()
def _globals(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log what happens; tracebacks of errors.")
    ] = False,
    version: Annotated[  # noqa: ARG001  (handled by its callback)
        bool, typer.Option("--version", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s" if verbose else "vidbg: %(message)s",
    )


def main() -> None:
    """Entry point: one line for an error and exit 1; 2 for wrong usage; 130 for Ctrl-C."""
    try:
        app(standalone_mode=True)
    except VidbgError as error:
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            logging.getLogger(__name__).debug("failed", exc_info=error)
        typer.echo(f"vidbg: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
