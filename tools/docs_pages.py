"""Generate pages of the documentation from the program, as hooks for mkdocs.

- options.md and commands.md come from the command line itself, so they are always up to date.
- python.md lists the public names of `vidbg` at `<!-- public names -->`.
- api.md describes the HTTP API at `<!-- api reference -->`.
- examples.md shows the programs in examples/.
- contributing.md, changelog.md, training.md and training-log.md are files outside docs/.

`make docs` runs them; mkdocs.yml names this file under `hooks`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import vidbg
from tools.docs_api import api_reference
from vidbg.cli.app import app

ROOT = Path(__file__).resolve().parents[1]

OUTSIDE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "training/README.md": "training.md",
    "training/LOG.md": "training-log.md",
}
"""Pages by the file that each is made of, relative to the repository."""

EXAMPLES = ("image", "video_file", "webcam", "own_backend", "own_sink")
"""Programs in examples/, in the order of the page, by name without `.py`."""

PUBLIC_NAMES = "<!-- public names -->"
API_REFERENCE = "<!-- api reference -->"

_LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")

# --- hooks --------------------------------------------------------------------------------------


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not files in docs/."""
    pages = {
        "options.md": options_page(),
        "commands.md": commands_page(),
        "examples.md": examples_page(),
    }
    for source, name in OUTSIDE.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        pages[name] = relinked(text, Path(source).parent)
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Insert the generated parts of a page, and adapt its links to files outside docs/."""
    del config, files
    if page.file.generated_by is not None:  # relinked already
        return markdown
    text = relinked(markdown, Path("docs"), only="../")
    if API_REFERENCE in text:
        text = text.replace(API_REFERENCE, api_reference())
    return text.replace(PUBLIC_NAMES, public_names())


# --- pages --------------------------------------------------------------------------------------


def relinked(text: str, folder: Path, only: str = "") -> str:
    """Return the text of a file outside docs/ with its links as the site needs them.

    Args:
        folder: where the file is, relative to the repository.
        only: change only links that begin with this.
    Raises:
        FileNotFoundError: a link leads to a file that the site does not have.
    """

    def target(match: re.Match[str]) -> str:
        if not match[1].startswith(only):
            return match[0]
        path = (ROOT / folder / match[1]).resolve().relative_to(ROOT)
        anchor = match[2] or ""
        if path.as_posix() in OUTSIDE:
            return f"]({OUTSIDE[path.as_posix()]}{anchor})"
        if path.parts[0] == "docs":
            return f"]({path.relative_to('docs').as_posix()}{anchor})"
        if path.as_posix() == "examples":
            return "](examples.md)"
        if path.parent.as_posix() == "examples" and path.stem in EXAMPLES:
            return f"](examples.md#{path.stem})"
        raise FileNotFoundError(f"{folder}: a link leads to {path}, which is not on the site")

    return _LINK.sub(target, text)


def public_names() -> str:
    """Return a mkdocstrings block for each public class and function of `vidbg`, functions last."""
    named = [(name, getattr(vidbg, name)) for name in vidbg.__all__]
    classes = [name for name, value in named if inspect.isclass(value)]
    functions = [name for name, value in named if inspect.isfunction(value)]
    first = [name for name in ("VideoMatting",) if name in classes]
    rest = sorted(
        name
        for name in classes
        if name not in first and not issubclass(getattr(vidbg, name), BaseException)
    )
    return "\n\n".join(f"::: vidbg.{name}" for name in [*first, *sorted(functions), *rest])


def options_page() -> str:
    """Every option of `vidbg run` and `vidbg process`, each once."""
    lines = [
        "# Options",
        "",
        "The options of `vidbg run` and `vidbg process`, generated from the commands themselves. "
        "An option with a key can also be set in [a file](configuration.md), and one with a "
        "variable in the environment.",
        "",
    ]
    run = {option.name: option for option in _options(_command(["run"]))}
    process = {option.name: option for option in _options(_command(["process"]))}
    both = [n for n in run if n in process and run[n].help == process[n].help]
    for title, command, options in (
        ("Both commands", "", [run[name] for name in both]),
        ("`vidbg run`", "run", [run[name] for name in run if name not in both]),
        ("`vidbg process`", "process", [process[name] for name in process if name not in both]),
    ):
        lines += [f"## {title}", ""]
        for panel, members in _panels(options):
            if panel:
                lines += [f"### {panel}", ""]
            for option in members:
                # An option with two meanings has an entry, and so an anchor, for each command.
                twice = command and option.name in run and option.name in process
                lines += _option_entry(option, "####" if panel else "###", command if twice else "")
    return "\n".join(lines)


def commands_page() -> str:
    """Usage, arguments and options of every command."""
    lines = [
        "# Commands",
        "",
        "This page is generated from the commands themselves; `vidbg COMMAND --help` prints the "
        "same. Exit codes: 0 for success, 1 when something failed, 2 for a wrong option or value, "
        "130 for Ctrl-C, 143 for SIGTERM.",
        "",
    ]
    for names, command in _walk([], typer.main.get_command(app)):
        lines += _command_entry(names, command)
    return "\n".join(lines)


def examples_page() -> str:
    """Every program in examples/, with its docstring's first line above it."""
    lines = [
        "# Examples",
        "",
        "These programs are in the folder `examples/`. Each has `--help`, and the tests run them.",
        "",
    ]
    for name in EXAMPLES:
        code = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
        title = code.removeprefix('"""').partition("\n")[0]
        lines += [
            f"## {name}.py {{ #{name} }}",
            "",
            title,
            "",
            "```python",
            code.rstrip(),
            "```",
            "",
        ]
    return "\n".join(lines)


# --- the command line -----------------------------------------------------------------------------


def _walk(names: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
    """Every command by the words that call it, groups before what they hold."""
    yield names, command
    for name, member in getattr(command, "commands", {}).items():
        if not member.hidden:
            yield from _walk([*names, name], member)


def _command(names: Sequence[str]) -> Any:
    return next(c for words, c in _walk([], typer.main.get_command(app)) if words == list(names))


def _options(command: Any) -> list[Any]:
    shown = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    return [p for p in shown if p.name not in ("install_completion", "show_completion")]


def _panels(options: Sequence[Any]) -> list[tuple[str, list[Any]]]:
    """Options by the panel that help shows them in, in the order of their first appearance."""
    panels: dict[str, list[Any]] = {}
    for option in options:
        panels.setdefault(option.rich_help_panel or "", []).append(option)
    return list(panels.items())


def _names(option: Any) -> str:
    long_first = sorted(
        [*option.opts, *option.secondary_opts], key=lambda o: not o.startswith("--")
    )
    return ", ".join(f"`{name}`" for name in long_first)


def _value(option: Any) -> str:
    """How the value is written in usage lines; nothing for switches."""
    if option.is_flag:
        return ""
    command = typer.main.get_command(app)
    return str(option.metavar or option.display_type(typer.Context(command)))


def _default(option: Any) -> str:
    default = option.default
    if default is None or default is False or callable(default) or option.required:
        return ""
    if default is True:
        return f"`{next(o for o in option.opts if o.startswith('--'))}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def _option_entry(option: Any, heading: str, prefix: str) -> list[str]:
    """Return a heading, the help and a line of facts."""
    long = next(name for name in option.opts if name.startswith("--"))
    facts = [f"default {_default(option)}"] if _default(option) else []
    facts += ["required"] if option.required else []
    if option.envvar:
        if option.name not in ("config", "profile"):
            facts.append(f"key `{long[2:]}`")
        variables = [option.envvar] if isinstance(option.envvar, str) else option.envvar
        facts.append(f"variable `{variables[0]}`")
    names = ", ".join(f"`{name}`" for name in option.secondary_opts)
    facts += [f"also {names}"] if names else []
    short = [name for name in option.opts if not name.startswith("--")]
    title = ", ".join(f"`{name}`" for name in (long, *short))
    anchor = f"{prefix}-{long[2:]}" if prefix else long[2:]
    value = f" `{_value(option)}`" if _value(option) else ""
    attributes = f'{{ #{anchor} data-toc-label="{long}" }}'
    entry = [f"{heading} {title}{value} {attributes}", "", _escaped(option.help or ""), ""]
    if facts:
        line = "; ".join(facts)
        entry += [line[0].upper() + line[1:] + ".", "{ .facts }", ""]
    return entry


def _command_entry(names: Sequence[str], command: Any) -> list[str]:
    title = " ".join(["vidbg", *names])
    heading = "##" if len(names) < 2 else "###"
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = [title, *(["COMMAND"] if hasattr(command, "commands") else []), "[OPTIONS]"]
    for argument in arguments:
        name = str(argument.metavar or argument.name.upper())
        usage.append(name if argument.required else f"[{name}]")
    about = inspect.cleandoc(command.help or "")
    lines = [f"{heading} {title}", "", "```text", " ".join(usage), "```", "", _escaped(about), ""]
    rows = [f"| `{a.metavar or a.name.upper()}` | {_cell(a)} |" for a in arguments]
    rows += [f"| {_names(o)} | {_cell(o)} |" for o in _options(command)]
    if rows:
        lines += ["| | |", "|---|---|", *rows, ""]
    return lines


def _cell(parameter: Any) -> str:
    """Help and default in one cell of a table."""
    text = _escaped(parameter.help or "").replace("|", "\\|")
    default = "" if getattr(parameter, "is_bool_flag", False) else _default(parameter)
    return f"{text} Default: {default}.".strip() if default else text


def _escaped(text: str) -> str:
    """Help as Markdown: what stands in backticks stays, what Markdown would eat is escaped."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(p if p.startswith("`") else re.sub(r"([*_<>\[\]#])", r"\\\1", p) for p in parts)
