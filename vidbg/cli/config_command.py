"""`vidbg config`: the settings file, and the settings that result from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from vidbg.cli import options, settings
from vidbg.errors import SinkError

_HEADING = """\
# Settings of `vidbg run`; `vidbg process` takes those that it has as well. Keys are the options
# without their dashes; `vidbg run --help` explains them. The command line wins over the environment
# (VIDBG_BACKGROUND), that over a profile, that over the top of this file. Relative paths are taken
# from this file's folder.
"""

_PROFILE = """\
# A profile: vidbg run --profile meeting
# [profile.meeting]
# background = "office.jpg"
# feather = 1.5
"""


def example() -> str:
    """Return a file that shows every key, all of it commented out."""
    groups: dict[str, list[str]] = {}
    for key, option in settings.FILE_OPTIONS.items():
        value = option.default if option.example is None else option.example
        about = " | ".join(option.choices) or option.range
        comment = f"  # {about}" if about else ""
        groups.setdefault(option.group, []).append(f"# {_line(key, value)}{comment}")
    parts = ["\n".join([f"# --- {group}", *lines, ""]) for group, lines in groups.items()]
    return "\n".join([_HEADING, *parts, _PROFILE])


config = typer.Typer(
    name="config", help="The settings file: show, path, init.", no_args_is_help=True
)


@config.command()
def path() -> None:
    """Print the path of the settings file."""
    typer.echo(settings.default_file())


@config.command()
def show(
    ctx: typer.Context, file: options.ConfigFile = None, profile: options.Profile = None
) -> None:
    """Print the settings that `vidbg run` would use, and where each comes from."""
    run = settings.run_context(ctx, settings.options_for(file, profile))
    lines = {
        _line(key, run.params[option.name]): settings.origin_of(run, option.name)
        for key, option in settings.FILE_OPTIONS.items()
    }
    width = max(map(len, lines))
    for line, origin in lines.items():
        typer.echo(f"{line:{width}}  # {origin}")


def _line(key: str, value: Any) -> str:
    """Format a line of TOML."""
    if value is None:
        return f"# {key}: unset"
    text = str(value) if isinstance(value, Path) else value
    return f"{key} = {json.dumps(text, ensure_ascii=False)}"


@config.command()
def init(file: options.ConfigFile = None) -> None:
    """Write an example in which everything is commented out, unless the file exists."""
    target = file or settings.default_file()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as stream:
            stream.write(example())
    except FileExistsError:
        raise SinkError(f"{target} exists and was left as it is") from None
    except OSError as error:
        raise SinkError(f"{target} cannot be written: {error}") from error
    typer.echo(target)
