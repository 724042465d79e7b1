"""The commands in README.md and docs/ can be run, and the links lead somewhere."""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer.main

import tools
from vidbg.cli.app import app
from vidbg.cli.settings import default_file
from vidbg.sinks import OUTPUTS, LiveOutput

ROOT = Path(tools.__file__).resolve().parents[1]
OUTSIDE_DOCS = ("README.md", "CONTRIBUTING.md", "training/README.md")
PAGES = [*(ROOT / name for name in OUTSIDE_DOCS), *sorted((ROOT / "docs").glob("*.md"))]
GENERATED = {"options.md", "commands.md"}
"""Pages of the site that are no files; see tools/docs_pages.py."""


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page, without the indent of a surrounding list."""
    text = page.read_text(encoding="utf-8")
    indented = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in indented]


def commands(word: str) -> list[Any]:
    """Return the lines of shell blocks that begin with a word, by page."""
    lines = [
        pytest.param(line.split("  #")[0], id=f"{page.stem}: {line.split('  #')[0].strip()}")
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.splitlines()
        if line.removeprefix("time ").startswith(f"{word} ")
    ]
    return list({parameter.values: parameter for parameter in lines}.values())


COMMANDS = commands("vidbg")
TRAINING = commands("python")


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) > 40
    assert len(TRAINING) > 5


@pytest.fixture(autouse=True)
def settings(no_settings: None) -> None:  # noqa: ARG001  (it makes the folders)
    """Write the configuration file of docs/configuration.md."""
    default_file().parent.mkdir(parents=True)
    example = blocks(ROOT / "docs" / "configuration.md", "toml")[0]
    default_file().write_text(example, encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "docs/outputs.md"])
@pytest.mark.parametrize("kind", OUTPUTS.values(), ids=list(OUTPUTS))
def test_every_output_is_described(kind: LiveOutput, page: str) -> None:
    row = f"| `{kind.usage}` | {kind.purpose} |"
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    assert row in lines, f"add the row to {page}: {row}"


@pytest.mark.parametrize("line", COMMANDS)
def test_the_command_line_takes_it(line: str) -> None:
    name, *arguments = shlex.split(re.split(r"[|<>]", line.removeprefix("time "))[0])[1:]
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="vidbg")
    command = command.commands[name]
    while hasattr(command, "commands"):
        name, *arguments = arguments
        command = command.commands[name]
    command.make_context(name, arguments, parent=context)  # raises what a wrong option raises


@pytest.mark.parametrize("line", TRAINING)
def test_the_module_or_script_exists(line: str) -> None:
    words = shlex.split(line)
    if words[1] == "-m":
        assert find_spec(words[2]) is not None
    else:
        assert (ROOT / words[1]).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text):
        assert Path(link).name in GENERATED or (page.parent / link).exists(), link
    if page.parent.name == "docs":
        pytest.importorskip("mkdocs")
        from tools.docs_pages import relinked

        relinked(text, Path("docs"), only="../")  # raises if the site does not have the file


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_pages_is_python(page: Path) -> None:
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")


def test_the_page_of_options_has_every_option() -> None:
    pytest.importorskip("mkdocs")
    from tools.docs_pages import options_page

    root: Any = typer.main.get_command(app)
    page = options_page()
    headings, text = (
        set(re.findall(r"^#+ `(--[\w-]+)`", page, re.MULTILINE)),
        page.replace("\\", ""),
    )
    for option in (*root.commands["run"].params, *root.commands["process"].params):
        if option.param_type_name == "option" and option.name != "help":
            name = next(word for word in option.opts if word.startswith("--"))
            assert name in headings
            assert option.help in text, name
            if name == "--fit":
                assert "key `fit`; variable `VIDBG_FIT`" in text
