"""The README's commands are commands that the program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main

from vidbg.cli.app import app

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
LINES = [line.split("  #")[0] for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line for line in LINES if line.startswith("vidbg ")]


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 10


@pytest.mark.parametrize("line", COMMANDS)
def test_the_command_line_takes_it(line: str) -> None:
    words = shlex.split(re.split(r"[|<>]", line)[0])[1:]
    group = typer.main.get_command(app)
    name, *arguments = words
    command = group.commands[name]  # type: ignore[attr-defined]
    command.make_context(name, arguments)  # raises what a wrong option raises
