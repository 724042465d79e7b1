"""`vidbg config`: the file with settings, and what they come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from vidbg.cli import settings
from vidbg.errors import SinkError

EXAMPLE = """\
# Settings of `vidbg run`, and as far as they concern matting and backgrounds of `vidbg process`.
# Keys are the options without their dashes; `vidbg run --help` says what they mean. The command
# line wins over the environment (VIDBG_BACKGROUND), that over a profile, that over what stands
# here. Relative paths are taken from this file's folder.

# background = "blur:60"     # or "beach.jpg", "#203040", "green"
# camera = 0                 # an index or a path
# size = "1280x720"
# fps = 30
# light-wrap = 0.3
# smoothing = 0.15
# refine = true
# people = "all"            # or "main": the largest person alone
# device = "auto"
# full-frame = true        # run matting and compositing on an NVIDIA GPU

# vidbg run --profile meeting
# [profile.meeting]
# background = "office.jpg"
# feather = 1.5
"""

config = typer.Typer(
    name="config", help="The file with settings: show, path, init.", no_args_is_help=True
)


@config.command()
def path() -> None:
    """Print where the file is looked for."""
    typer.echo(settings.default_file())


@config.command()
def show(
    ctx: typer.Context, file: settings.ConfigFile = None, profile: settings.Profile = None
) -> None:
    """Print the settings that `vidbg run` would use, and where each comes from."""
    run = settings.run_context(ctx, settings.options_for(file, profile))
    lines = {
        _line(key, run.params[option.name]): settings.origin_of(run, option)
        for key, option in settings.configurable(run.command).items()
    }
    width = max(map(len, lines))
    for line, origin in lines.items():
        typer.echo(f"{line:{width}}  # {origin}")


def _line(key: str, value: Any) -> str:
    """A line of TOML."""
    if value is None:
        return f"# {key}: unset"
    text = str(value) if isinstance(value, Path) else value
    return f"{key} = {json.dumps(text, ensure_ascii=False)}"


@config.command()
def init(file: settings.ConfigFile = None) -> None:
    """Write an example, all of it commented out, if there is no file yet."""
    target = file or settings.default_file()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as stream:
            stream.write(EXAMPLE)
    except FileExistsError:
        raise SinkError(f"{target} exists and is left as it is") from None
    except OSError as error:
        raise SinkError(f"{target} cannot be written: {error}") from error
    typer.echo(target)
