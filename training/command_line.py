"""How the commands of training run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from vidbg.errors import VidbgError


def run(command: typer.Typer | Callable[..., Any]) -> None:
    """Run a command on this process's arguments; an error of vidbg's ends it with its message."""
    app = command
    if not isinstance(app, typer.Typer):
        app = typer.Typer(pretty_exceptions_enable=False)
        app.command()(command)
    try:
        app()
    except VidbgError as error:
        raise SystemExit(f"error: {error}") from None
