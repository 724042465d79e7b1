"""Prepare commands for the GPU machine, here: `python -m tools.gpu --help`; see README.md."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tools.gpu.calls import as_call, minutes_of, planned
from tools.gpu.lean import restore, set_aside, start_guard
from tools.gpu.pack import fetch_wheels, pack, room
from tools.gpu.plan import CARRY
from tools.gpu.rehearse import rehearse
from training.tools.file_parts import join
from vidbg.errors import ConfigError, VidbgError

ROOT = Path(__file__).resolve().parents[2]
WHEELS, RESULTS = ROOT / ".gpu" / "wheels", ROOT / ".gpu" / "results"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
Plan = Annotated[str, typer.Option(help="train, or full: measure everything, then train.")]


@app.command("pack")
def pack_command(
    data: Annotated[Path, typer.Option(help="Folder with the picture sets train/ and val/.")],
    light: Annotated[Path | None, typer.Option(help="Other weights of the light network.")] = None,
    clip: Annotated[
        Path | None, typer.Option(help="Video whose 60 first frames to compare.")
    ] = None,
    tensorrt: Annotated[bool, typer.Option(help="Take TensorRT for RTX along.")] = True,
) -> None:
    """Fill .gpu/carry with what the machine needs, a folder for each command."""
    restore(ROOT)
    if tensorrt and not any(WHEELS.glob("*.whl")):
        fetch_wheels(WHEELS)
    wheels = WHEELS if tensorrt else None
    sizes = pack(ROOT / CARRY, room(ROOT), data, light=light, clip=clip, wheels=wheels)
    for name, size in sizes.items():
        typer.echo(f"{CARRY}/{name}: {size / 1e6:.1f} MB")


@app.command("plan")
def plan_command(plan: Plan = "train") -> None:
    """List the plan's commands, with what each takes along and how long it may last."""
    calls = planned(plan, ROOT / CARRY)
    minutes = minutes_of(calls)
    for call in calls:
        uses = as_call(call, minutes, ROOT, ROOT / CARRY)["uses"]
        steps = ", ".join(f"{step.name} {step.seconds} s" for step in call.steps)
        typer.echo(f"{call.name}: {steps or 'takes in'}; {uses['bytes']} bytes")
    typer.echo(f"{minutes:g} minutes of training")


@app.command("prepare")
def prepare_command(
    name: Annotated[str, typer.Argument(help="One of the plan's commands.")],
    plan: Plan = "train",
    left: Annotated[
        float | None,
        typer.Option(help="Seconds of the machine that are left; training gets what fits."),
    ] = None,
) -> None:
    """Make the checkout lean and print what to run on the machine, as JSON."""
    calls = {call.name: call for call in planned(plan, ROOT / CARRY)}
    if name not in calls:
        raise ConfigError(f"no command {name!r}; there are {[*calls]}")
    minutes = minutes_of([*calls.values()], left)
    prepared = as_call(calls[name], minutes, ROOT, ROOT / CARRY)
    set_aside(ROOT)
    start_guard(ROOT)
    typer.echo(json.dumps(prepared, indent=2))


@app.command("restore")
def restore_command() -> None:
    """Put the large files of the checkout back; again does no harm."""
    typer.echo(f"{len(restore(ROOT))} files are back")


@app.command("unpack")
def unpack_command(
    folder: Annotated[Path, typer.Argument(help="What came back from the machine.")],
    out: Annotated[
        Path, typer.Option(help="Later commands' results go over earlier ones'.")
    ] = RESULTS,
) -> None:
    """Put a command's results together: report/, runs/, logs."""
    with tempfile.TemporaryDirectory() as place:
        archive = Path(place) / "results.tar"
        join(folder, archive)
        shutil.unpack_archive(archive, out, filter="data")
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


@app.command("rehearse")
def rehearse_command(
    plan: Plan = "train",
    python: Annotated[
        Path | None, typer.Option(help="Whose packages stand for the machine's; else this one's.")
    ] = None,
    packed: Annotated[
        bool, typer.Option(help="Take what `pack` packed, not a few drawn pictures.")
    ] = False,
) -> None:
    """Go through a plan here: no GPU, no network, only the packages that the machine has."""
    restore(ROOT)
    carry = ROOT / CARRY if packed else None
    for line in rehearse(ROOT, plan, python=python, carry=carry):
        typer.echo(line)


def main() -> None:
    try:
        app()
    except VidbgError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
