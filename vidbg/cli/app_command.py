"""`vidbg app`: a run whose page opens in the browser, and that explains what is missing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from vidbg.cli import options
from vidbg.cli.browser import open_page
from vidbg.cli.ctl.run_client import of_page
from vidbg.cli.run import run_until_end
from vidbg.errors import VidbgError
from vidbg.sinks.web.running_pages import running_pages

if TYPE_CHECKING:
    from vidbg.pipeline.live import LiveConfig, LiveRun

PORT = 8091
"""The page's port unless --panel says otherwise, so that a bookmark stays right; any free port if
this one is taken."""


@options.takes_options("run")
def app(
    ctx: typer.Context,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Open no browser.", rich_help_panel="App")
    ] = False,
    tray: Annotated[
        bool,
        typer.Option(
            "--tray",
            help="Also show an icon in the tray of a Linux desktop.",
            rich_help_panel="App",
        ),
    ] = False,
    **params: Any,
) -> None:
    """Run vidbg with its page in the browser, until the page's Quit, Ctrl-C or SIGTERM.

    Takes the options of `vidbg run`. It starts without a camera or a virtual camera too: the page
    says what is missing on this computer. If vidbg is running already, its page is opened.
    """
    wanted = params["panel"]
    pages = [p for p in running_pages() if wanted is None or urlsplit(p.url).port == wanted]
    if pages:
        running = of_page(pages[0].url)
        typer.echo(f"vidbg is running already (process {pages[0].pid}): {running.page}", err=True)
        if not no_browser:
            open_page(running)
        return

    def show(live: LiveRun) -> None:
        if live.page is None:
            return
        if tray:  # as a program of its own, which ends with the run
            command = [sys.executable, "-m", "vidbg", "ctl", "tray"]
            subprocess.Popen(command, env=os.environ | {"VIDBG_URL": live.page})
        if no_browser:
            return
        try:
            open_page(of_page(live.page))
        except VidbgError as error:
            typer.echo(f"vidbg: {error}", err=True)  # the run itself is well

    run_until_end(ctx, params, completed=Completion(), on_open=show)


class Completion:
    """Gives a config what it lacks: a page, and an output that this computer has.

    What it finds at the start holds for reloads too: by then the run itself has the port and the
    virtual camera.
    """

    def __call__(self, config: LiveConfig) -> LiveConfig:
        if config.panel is None:
            config = replace(config, panel=self.panel)
        if config.output is None:
            config = replace(config, output=self.output)
        return config

    @cached_property
    def panel(self) -> int:
        """The usual port, or 0 for any if it is taken."""
        return PORT if is_free(PORT) else 0

    @cached_property
    def output(self) -> str | None:
        """None for the default output, or "none" if there is no virtual camera."""
        from vidbg.sinks.camera.virtual_camera import virtual_camera_report

        report = virtual_camera_report()
        if report.usable:
            return None
        typer.echo(
            f"no virtual camera, so only the page shows the output: {report.next_step}", err=True
        )
        return "none"


def is_free(port: int) -> bool:
    """Return whether a server of this machine can listen at a port."""
    with socket.socket() as probe:
        if sys.platform != "win32":  # where it would take the port from another program
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
