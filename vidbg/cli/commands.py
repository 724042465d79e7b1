"""The commands of `vidbg`, each imported when it is called: `vidbg --help` needs none of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "process": ("process_command", "Replace the background of video files and images."),
    "run": (
        "run",
        "Replace your background in a virtual webcam, until Ctrl-C (exits 130) or SIGTERM (143).",
    ),
    "app": (
        "app_command",
        "Run vidbg with its page in the browser, until the page's Quit, Ctrl-C or SIGTERM.",
    ),
    "bench": (
        "bench",
        "Measure frames per second and latency: a table for people and one JSON line.",
    ),
    "build": ("build", "Build an engine for TensorRT, unless there is one that fits."),
    "devices": (
        "devices",
        "List the cameras, the virtual cameras and NVIDIA's GPUs of this computer.",
    ),
    "doctor": ("doctor", "Show what is installed, what vidbg would use, and what to do next."),
    "demo": ("demo_command", "Make a sample clip and replace its background."),
    "config": ("config_command", "The settings file: show, path, init."),
    "ctl": (
        "ctl.ctl_commands",
        "Control a running vidbg from another terminal, a script or a hotkey.",
    ),
    "service": (
        "service",
        "vidbg run as a systemd service and in the menu: print, install, uninstall, preview.",
    ),
}
"""Module in vidbg.cli and first paragraph of the help, by the name of a command and its function,
in the order of `vidbg --help`."""

_ELSEWHERE = (
    "Options can also be set in a file (vidbg config) or the environment, such as VIDBG_FIT."
)


class CommandGroup(TyperGroup):
    """Group whose commands are imported when one is called, or looked up in `commands`."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = _Imported()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return a stand-in with the name and the first paragraph of the help, for lists."""
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(name=cmd_name, help=COMMANDS[cmd_name][1])

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Import the command that is called."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else self.commands[name], rest


class _Imported(Mapping[str, Any]):
    """The real commands by name, each imported when it is first looked up."""

    def __init__(self) -> None:
        self._imported: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._imported:
            member = getattr(import_module(f"vidbg.cli.{COMMANDS[name][0]}"), name)
            self._imported[name] = click_command(name, member)
        return self._imported[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def click_command(name: str, member: Any) -> Any:
    """Return the command of click that typer makes of a function or a group."""
    if isinstance(member, typer.Typer):
        return unwrap_help(typer.main.get_group(member))
    holder = typer.Typer(add_completion=False)
    if name in ("process", "run", "app"):
        from vidbg.cli.settings import FileCommand, LiveCommand

        kind = FileCommand if name == "process" else LiveCommand
        holder.command(name, cls=kind, epilog=_ELSEWHERE)(member)
    else:
        holder.command(name)(member)
    return unwrap_help(typer.main.get_command(holder))


def unwrap_help(command: Any) -> Any:
    """Join the lines of each paragraph of the help of a command and of those in its group.

    Typer would keep a docstring's line breaks, and wrap its lines again in a narrower terminal.
    """
    if command.help:
        command.help = re.sub(r"(?<!\n)\n(?!\n)", " ", command.help)
    for each in getattr(command, "commands", {}).values():
        unwrap_help(each)
    return command
