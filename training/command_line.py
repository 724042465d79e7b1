"""Entry point that all commands of training share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import typer

from vidbg.errors import VidbgError


def run(command: typer.Typer | Callable[..., Any]) -> None:
    """Run a command on this process's arguments, with its log on standard error.

    A VidbgError ends the process with the error's message.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    app = command
    if not isinstance(app, typer.Typer):
        app = typer.Typer(pretty_exceptions_enable=False)
        app.command()(command)
    try:
        app()
    except VidbgError as error:
        raise SystemExit(f"error: {error}") from None
