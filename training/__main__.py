"""List the commands of training: `python -m training`."""

from __future__ import annotations

import ast
from pathlib import Path

import typer

COMMANDS = {
    "training.train": "train.py",
    "training.evaluate": "evaluate/__main__.py",
    "training.export": "export/__main__.py",
    "training.export.shipped_graphs": "export/shipped_graphs.py",
    "training.tools.average": "tools/average.py",
    "training.tools.ensemble": "tools/ensemble.py",
    "training.tools.ablate": "tools/ablate.py",
    "training.tools.edge_offsets": "tools/edge_offsets.py",
    "training.tools.shards": "tools/shards.py",
}
"""Modules that `python -m` runs, and their files, in the order in which they are used."""


def summary(file: Path) -> str:
    """Return the first sentence of a module's docstring, up to a colon, without importing it."""
    first, *_ = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n")
    return first.partition(": ")[0].rstrip(".")


def main() -> None:
    """Print each command with what it does."""
    width = max(len(name) for name in COMMANDS)
    typer.echo("Usage: python -m MODULE [OPTIONS]; --help lists a module's options.\n")
    for name, file in COMMANDS.items():
        typer.echo(f"  {name:{width}}  {summary(Path(__file__).parent / file)}")


if __name__ == "__main__":
    main()
