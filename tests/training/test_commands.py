"""The list of training's commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from training import __main__ as commands

FOLDER = Path(commands.__file__).parent


def test_every_command_is_listed_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    runnable = {
        path.relative_to(FOLDER).as_posix()
        for path in FOLDER.rglob("*.py")
        if "__name__ == " + chr(34) + "__main__" in path.read_text(encoding="utf-8")
    }
    assert runnable - {"__main__.py"} == set(commands.COMMANDS.values())
    commands.main()
    lines = capsys.readouterr().out.splitlines()
    for module, file in commands.COMMANDS.items():
        assert file.removesuffix("/__main__.py").removesuffix(".py").replace("/", ".") in module
        (line,) = [line for line in lines if line.split()[:1] == [module]]
        assert len(line.split()) > 2
