"""`vidbg devices`: the cameras to read from, the virtual cameras to write to, NVIDIA's GPUs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from vidbg.sinks.camera.virtual_camera import VirtualCameraReport
    from vidbg.sources.camera.v4l2 import CameraInfo

_STYLES = {"ok": "bold green", "no": "bold red", "-": "dim", "": ""}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a section.

    Attributes:
        mark: "ok", "no" if something needs to be done, "-" otherwise, "" for a continuation row.
    """

    mark: Literal["ok", "no", "-", ""]
    name: str
    detail: str


def devices(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for scripts.")
    ] = False,
) -> None:
    """List the cameras, the virtual cameras and NVIDIA's GPUs of this computer."""
    from vidbg.pipeline.setup_steps import camera_steps, virtual_camera_steps
    from vidbg.platform.nvidia import list_gpus
    from vidbg.sinks.camera.virtual_camera import virtual_camera_report
    from vidbg.sources.camera.camera_source import list_cameras

    cameras, virtual, gpus = list_cameras(), virtual_camera_report(), list_gpus()
    if as_json:
        facts = {
            "cameras": [asdict(c) for c in cameras],
            "virtual_camera": asdict(virtual),
            "gpus": [asdict(gpu) for gpu in gpus],
        }
        typer.echo(json.dumps(facts, default=jsonable))
        return
    from rich.console import Console

    console = Console()
    console.print(section("Cameras", camera_rows(cameras, formats=True)))
    console.print(section("Virtual camera", virtual_camera_rows(virtual)))
    if gpus:
        rows = [Row("ok", str(gpu.number), f"{gpu.name}, {gpu.memory}") for gpu in gpus]
        console.print(section("NVIDIA GPUs, by --gpu", rows))
    for step in [*camera_steps(cameras), *virtual_camera_steps(virtual)]:
        console.print(f"- {step}", soft_wrap=True, markup=False, highlight=False)


def jsonable(value: object) -> float | str:
    """Convert a value that JSON cannot hold: frame rates to numbers, paths to text."""
    return float(value) if isinstance(value, Fraction) else str(value)


def camera_rows(cameras: Iterable[CameraInfo], *, formats: bool = False) -> list[Row]:
    """Return a row per camera, optionally followed by a row for each of its pixel formats."""
    rows = []
    for camera in cameras:
        name = f"{camera.name} (virtual)" if camera.virtual else camera.name
        rows.append(Row("no" if camera.problem else "ok", camera.device, name))
        if formats:
            rows += [Row("", f"  {f.pixel_format}", f.sizes_text()) for f in camera.formats]
    return rows or [Row("-", "none", "")]


def virtual_camera_rows(report: VirtualCameraReport) -> list[Row]:
    """Return a row per finding about virtual cameras."""
    mark: Literal["ok", "no"] = "ok" if report.usable else "no"
    lines = (line.partition(": ") for line in report.found)
    return [Row(mark, name, state) for name, _, state in lines]


def section(title: str, rows: Iterable[Row]) -> Table:
    """Format a titled block of rows; long details wrap in their own column."""
    from rich.table import Table
    from rich.text import Text

    block = Table(title=title, title_justify="left", title_style="bold", box=None)
    block.show_header, block.pad_edge = False, True
    block.add_column(width=2)
    block.add_column(min_width=22, overflow="fold")
    block.add_column(overflow="fold")
    for row in rows:
        block.add_row(Text(row.mark, _STYLES[row.mark]), Text(row.name), Text(row.detail))
    return block
