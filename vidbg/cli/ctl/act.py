"""Commands that do something at once: pause, snapshot, record, upload, open, quit and others."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from vidbg.cli.browser import open_page
from vidbg.cli.ctl.group import ctl
from vidbg.cli.ctl.run_client import UPLOAD_PATIENCE_S, client_of, of_page
from vidbg.errors import ConfigError, SinkError, VidbgError
from vidbg.platform.installation import install_command
from vidbg.sinks.web.running_pages import running_pages

record = typer.Typer(name="record", help="Record what viewers see: start, stop.")
ctl.add_typer(record)


@ctl.command()
def pause(ctx: typer.Context) -> None:
    """Close the camera; viewers see the away card."""
    client_of(ctx).ask("POST", "/away", {"away": True})


@ctl.command()
def resume(ctx: typer.Context) -> None:
    """Resume after `pause`."""
    client_of(ctx).ask("POST", "/away", {"away": False})


@ctl.command()
def snapshot(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="A .png, or - for standard output. Default: named by the time, here.",
        ),
    ] = None,
    save: Annotated[
        bool,
        typer.Option("--save", help="Let the run save it next to its recordings."),
    ] = False,
) -> None:
    """Write what viewers see now as a PNG."""
    if save and file is not None:
        raise ConfigError(f"--save names the file itself: leave out {file}, or --save")
    if save:
        typer.echo(client_of(ctx).ask("POST", "/snapshot", {"save": True})["path"])
        return
    if file is not None and file.suffix.lower() != ".png" and str(file) != "-":
        raise ConfigError(f"a snapshot is a PNG: give {file.with_suffix('.png')} or -")
    image = client_of(ctx).ask("POST", "/snapshot")
    if str(file) == "-":
        sys.stdout.buffer.write(image)
        return
    target = file or Path(time.strftime("vidbg-%Y-%m-%d-%H%M%S.png"))
    try:
        with target.open("xb") as stream:
            stream.write(image)
    except FileExistsError:
        raise SinkError(f"{target} exists and was left as it is; give another name") from None
    typer.echo(target)


@record.command()
def start(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="A video. Default: named by the time, in the videos folder."
        ),
    ] = None,
) -> None:
    """Start a recording, and print its path."""
    client = client_of(ctx)
    body = {} if file is None else {"path": str(file.absolute() if client.is_local else file)}
    typer.echo(client.ask("POST", "/recording", body)["recording"]["path"])


@record.command()
def stop(ctx: typer.Context) -> None:
    """End the recording."""
    client_of(ctx).ask("DELETE", "/recording")


@ctl.command()
def upload(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="An image or a video.")],
    picture: Annotated[
        bool,
        typer.Option(
            "--picture",
            help="An image for a setting such as overlay or away-image; it may be transparent, and "
            "its path there is printed instead.",
        ),
    ] = False,
) -> None:
    """Copy a file to the backgrounds, even on another computer, and print its name there."""
    path = "/pictures" if picture else "/backgrounds"
    answer = client_of(ctx).ask("POST", path, file=file, patience_s=UPLOAD_PATIENCE_S)
    typer.echo(answer["value" if picture else "name"])


@ctl.command("open")
def open_(
    ctx: typer.Context,
    show: Annotated[
        bool, typer.Option("--print", help="Print its address, which is a secret, instead.")
    ] = False,
) -> None:
    """Open the page in the browser."""
    client = client_of(ctx)
    client.ask("GET", "/settings")  # says what is wrong before a browser does
    if show:
        typer.echo(client.page)
    else:
        open_page(client)


@ctl.command()
def phone(ctx: typer.Context) -> None:
    """Print the page's address for other devices, a secret, and its QR code to scan."""
    client = client_of(ctx)
    pages = [page for page in running_pages() if of_page(page.url).address == client.address]
    url = next((page.outside_url for page in pages), "")
    if not url:
        raise VidbgError(
            f"{client.address} can only be reached from this computer; start it with --host "
            "ADDRESS and --tls-cert FILE to reach it from other devices"
        )
    try:
        import segno
    except ImportError as error:
        step = install_command("web")
        raise VidbgError(f"the QR code needs segno ({error}): `{step}`") from None
    typer.echo(url)
    segno.make(url, error="L").terminal(sys.stdout, compact=True)


@ctl.command()
def token(ctx: typer.Context) -> None:
    """Print the token, a secret, for programs that send HTTP requests themselves."""
    client = client_of(ctx)
    if not client.token:
        raise VidbgError(f"the token of {client.address} is not known here; give --url with it")
    typer.echo(client.token)


@ctl.command()
def tray(ctx: typer.Context) -> None:
    """Show an icon in the tray of a Linux desktop: on air, paused or off, with a menu.

    It follows whichever run there is; with --url it ends with that run.
    """
    if sys.platform != "linux":
        raise VidbgError(
            "the tray icon is for Linux desktops; elsewhere keep the page open (`vidbg ctl open`)"
        )
    import asyncio

    try:
        from vidbg.cli.tray.follow import Tray
    except ImportError as error:
        step = install_command("tray")
        raise VidbgError(f"the tray icon needs a package ({error}): `{step}`") from None
    only = client_of(ctx) if ctx.parent is not None and ctx.parent.params["url"] else None
    asyncio.run(Tray(only, lambda text: typer.echo(text, err=True)).run())


@ctl.command("quit")
def quit_(ctx: typer.Context) -> None:
    """End the run."""
    client_of(ctx).ask("POST", "/quit")
