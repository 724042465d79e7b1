"""systemctl for the units of the user's own systemd."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence

import typer

ANSWER_S = 30.0
"""How long systemd may take; stopping the unit takes up to 10 (TimeoutStopSec)."""

Commands = Sequence[Sequence[str]]


def systemctl(*arguments: str) -> str | None:
    """Run systemctl and return why it failed, or None on success."""
    try:
        done = subprocess.run(
            ["systemctl", "--user", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_S,
        )
    except FileNotFoundError:
        return "there is no systemctl here"
    except subprocess.TimeoutExpired:
        return f"systemctl has not answered for {ANSWER_S:g} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return f"systemctl failed ({lines[0]})"


def run_until_problem(commands: Commands) -> tuple[str | None, Commands]:
    """Run systemctl commands in turn; return the first problem, and the commands from there on."""
    for index, command in enumerate(commands):
        problem = systemctl(*command)
        if problem is not None:
            return problem, commands[index:]
    return None, []


def run_or_report(*commands: Sequence[str]) -> None:
    """Run systemctl commands in turn; if one fails, report what is still to run."""
    problem, left = run_until_problem(commands)
    if problem is not None:
        report_rest(problem, left)


def report_rest(problem: str, left: Commands) -> None:
    """Print a problem, and the commands that the user has to run."""
    typer.echo(f"{problem}; still to run, in the user's desktop session:", err=True)
    for command in left:
        typer.echo("  " + shlex.join(["systemctl", "--user", *command]), err=True)
