"""The README's commands are commands that the program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from vidbg.cli.app import app
from vidbg.cli.settings import default_file
from vidbg.sinks import OUTPUTS, LiveOutput

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
SETTINGS = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
LINES = [line.split("  #")[0] for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line for line in LINES if line.startswith("vidbg ")]


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 10


@pytest.fixture(autouse=True)
def settings(no_settings: None) -> None:  # noqa: ARG001  (it makes the folders)
    """The README's own configuration file is there."""
    default_file().parent.mkdir(parents=True)
    default_file().write_text("\n".join(SETTINGS), encoding="utf-8")


@pytest.mark.parametrize("kind", OUTPUTS.values(), ids=list(OUTPUTS))
def test_every_output_is_described(kind: LiveOutput) -> None:
    assert f"| `{kind.usage}` | {kind.purpose} |\n" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("line", COMMANDS)
def test_the_command_line_takes_it(line: str) -> None:
    name, *arguments = shlex.split(re.split(r"[|<>]", line)[0])[1:]
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="vidbg")
    command = command.commands[name]
    if name in ("config", "service"):
        name, *arguments = arguments
        command = command.commands[name]
    command.make_context(name, arguments, parent=context)  # raises what a wrong option raises
