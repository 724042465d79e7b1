"""The command group `vidbg ctl`; its commands are in the modules beside."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

ctl = typer.Typer(
    name="ctl",
    help="Control a running vidbg from another terminal, a script or a hotkey.",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")]


@ctl.callback()
def connection(
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="VIDBG_URL",
            show_envvar=False,
            help="Address of the page, as `vidbg run` printed it. Default: the run of this "
            "account. Environment: VIDBG_URL.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            envvar="VIDBG_TOKEN",
            show_envvar=False,
            help="Its token, if not in the address. Environment: VIDBG_TOKEN, which other accounts "
            "cannot read in the list of processes.",
        ),
    ] = None,
) -> None:
    """Take the options that client_of() reads."""


def print_json(value: Any) -> None:
    """Print an answer of the API as one line."""
    typer.echo(json.dumps(value, ensure_ascii=False))
