"""`vidbg service`: `vidbg run` as a systemd user service, and in the menu of a Linux desktop."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from vidbg.cli import options, settings
from vidbg.cli.service_files import MARKER, UNIT, Folders, entry_text, icon_text, unit_text
from vidbg.cli.systemctl import report_rest, run_or_report, run_until_problem, systemctl
from vidbg.errors import SinkError, VidbgError

_PROGRAM = (sys.executable, "-m", "vidbg")
_ELSEWHERE = {
    "win32": 'on Windows, let Task Scheduler run "{}" at log on',
    "darwin": 'on macOS, let a launchd agent (~/Library/LaunchAgents) run "{}" with RunAtLoad',
}

service = typer.Typer(
    name="service",
    help="vidbg run as a systemd service and in the menu: print, install, uninstall, preview.",
    no_args_is_help=True,
)


@service.callback()
def require_linux() -> None:
    """Refuse the commands on other systems, with what they have instead."""
    if not sys.platform.startswith("linux"):
        otherwise = _ELSEWHERE.get(sys.platform, 'let this system\'s own means run "{}" at log-in')
        raise VidbgError(
            f"`vidbg service` writes for systemd, which {sys.platform} does not have; "
            + otherwise.format(" ".join([*_PROGRAM, "run"]))
        )


@service.command("print")
def print_(
    ctx: typer.Context, config: options.ConfigFile = None, profile: options.Profile = None
) -> None:
    """Print the systemd user unit and the desktop entry that install would write."""
    folders = Folders.of_user()
    files = _files(ctx, folders, config, profile)
    typer.echo(
        "\n".join(f"# {file}\n{files[file]}" for file in (folders.unit, folders.entry)), nl=False
    )


@service.command()
def install(
    ctx: typer.Context,
    config: options.ConfigFile = None,
    profile: options.Profile = None,
    now: Annotated[
        bool, typer.Option("--now", help="Start it, now and with every desktop session.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that vidbg did not write.")
    ] = False,
) -> None:
    """Write the systemd user unit and the menu entry.

    The service takes its settings from the file and the profile, not from this terminal's VIDBG_
    variables.
    """
    folders = Folders.of_user()
    files = _files(ctx, folders, config, profile)
    old = {file: _text_of(file) for file in files}
    for file, text in old.items():
        if text not in (None, files[file]) and MARKER not in (text or "") and not force:
            raise SinkError(f"{file} exists and was not written by vidbg; --force replaces it")
    for folder in (folders.log.parent, *(file.parent for file in files)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(
                f"{folder} cannot be made: {error.strerror}; check its rights"
            ) from error
    for file, text in files.items():
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise SinkError(f"{file} cannot be written: {error}") from error
        typer.echo(file)
    # Enabling does not restart a service that is running with the old unit
    changed = now and old[folders.unit] not in (None, files[folders.unit])
    enabling = [*([("try-restart", UNIT)] if changed else []), ("enable", "--now", UNIT)]
    problem, left = run_until_problem([("daemon-reload",), *(enabling if now else [])])
    if problem is not None:
        report_rest(problem, left if now else [*left, *enabling])
        raise typer.Exit(1 if now else 0)
    if not now:
        typer.echo(f"start it, now and with every session: systemctl --user enable --now {UNIT}")


@service.command()
def uninstall() -> None:
    """Stop the service and remove its files; settings and log stay."""
    folders = Folders.of_user()
    texts = {file: _text_of(file) for file in (folders.unit, folders.entry, folders.icon)}
    ours = [file for file, text in texts.items() if text is not None and MARKER in text]
    for file, text in texts.items():
        if text is not None and file not in ours:
            typer.echo(f"{file} is not vidbg's and stays", err=True)
    if not ours:
        typer.echo("nothing of `vidbg service install` is here")
        return
    commands = [("disable", "--now", UNIT)] if folders.unit in ours else []
    problem, _ = run_until_problem(commands)
    for file in [*ours, *([folders.unit_link] if folders.unit in ours else [])]:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise SinkError(f"{file} cannot be removed: {error}") from error
    typer.echo("\n".join(f"removed {file}" for file in ours))
    if problem is not None:  # the file is gone, so there is nothing to disable
        report_rest(problem, [("stop", UNIT), ("daemon-reload",)])
    else:
        run_or_report(("daemon-reload",))


@service.command()
def preview(
    ctx: typer.Context, config: options.ConfigFile = None, profile: options.Profile = None
) -> None:
    """Run `vidbg run --show`, as the menu entry does; the service pauses meanwhile.

    A camera and a virtual camera serve one program at a time.
    """
    with _errors_on_the_desktop(), _service_paused():
        run = settings.run_context(ctx, [*settings.options_for(config, profile), "--show"])
        with run:
            run.command.invoke(run)


def _files(
    ctx: typer.Context, folders: Folders, config: Path | None, profile: str | None
) -> dict[Path, str]:
    """Return the files to write, after checking that the settings are valid."""
    options = settings.options_for(config.absolute() if config else None, profile)
    settings.run_context(ctx, options)
    return {
        folders.unit: unit_text(_PROGRAM, options, folders.log),
        folders.entry: entry_text(_PROGRAM, options),
        folders.icon: icon_text(),
    }


def _text_of(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SinkError(f"{file} cannot be read: {error.strerror}; check its rights") from error


@contextmanager
def _service_paused() -> Iterator[None]:
    """Stop the service during the `with` block, if it is running."""
    if systemctl("is-active", "--quiet", UNIT) is not None:
        yield
        return
    typer.echo("the service pauses while this runs", err=True)
    run_or_report(("stop", UNIT))
    try:
        yield
    finally:
        run_or_report(("start", UNIT))


@contextmanager
def _errors_on_the_desktop() -> Iterator[None]:
    """Show an error as a notification where there is no terminal to read it from."""
    try:
        yield
    except (VidbgError, typer.BadParameter) as error:
        if not sys.stderr.isatty() and shutil.which("notify-send"):
            subprocess.run(["notify-send", "--app-name=vidbg", "--icon=vidbg", "vidbg", str(error)])
        raise
