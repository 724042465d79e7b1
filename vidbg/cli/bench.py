"""`vidbg bench`: how fast it is here, stage by stage and end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidbg.cli import options

if TYPE_CHECKING:
    from vidbg.pipeline.benchmark import Result


def bench(
    source: Annotated[
        Path | None, typer.Argument(metavar="INPUT", help="Video; default: a synthetic person.")
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(help="DEVICE or DEVICE:PRECISION; again for several. Default: auto."),
    ] = None,
    size: Annotated[str, typer.Option(metavar="WxH", help="Of the synthetic frames.")] = "1280x720",
    frames: Annotated[int, typer.Option(min=2, help="Frames measured.")] = 200,
    warm_up: Annotated[int, typer.Option(min=1, help="Frames before, not measured.")] = 10,
    live_fps: Annotated[
        float | None, typer.Option(help="Pace the source at this rate and count drops.")
    ] = None,
    background: options.Background = "green",
    threads: options.Threads = None,
    network_size: options.NetworkSize = None,
    json_only: Annotated[bool, typer.Option("--json", help="The JSON line alone.")] = False,
) -> None:
    """Measure frames per second and latency: a table for people and one JSON line."""
    from vidbg.matting.backends import parse_engine
    from vidbg.pipeline.benchmark import BenchmarkConfig, describe_machine, run_benchmark

    width, height = options.parse_size(size, "--size")
    config = BenchmarkConfig(source, width, height, frames, warm_up, live_fps)
    compositing = options.compositing_config(background, "cover", 0.0, 0.0, 0.0)
    results = []
    for name in engine or ["auto"]:
        device, precision = parse_engine(name)
        matting = options.matting_config(device, precision, threads, network_size, None, True)
        results.append(run_benchmark(config, matting, compositing))
    if not json_only:
        _print_tables(results)
    facts: dict[str, Any] = describe_machine()
    facts["source"] = config.describe()
    facts["results"] = [result.as_dict() for result in results]
    typer.echo(json.dumps(facts))


def _print_tables(results: list[Result]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for result in results:
        table = Table(title=f"{result.engine}, network {result.network_size}")
        for heading in ("stage", "p50 ms", "p95 ms", "p99 ms"):
            table.add_column(heading, justify="left" if heading == "stage" else "right")
        for stage, times in {**result.stages_ms, "latency": result.latency_ms}.items():
            table.add_row(stage, *(f"{times[key]:.2f}" for key in ("p50", "p95", "p99")))
        console.print(table)
        console.print(
            f"{result.fps:.1f} FPS end to end, {result.drops} dropped, "
            f"{result.cpu_percent:.0f} % CPU, {result.rss_mb or 0:.0f} MB, "
            f"first frame after {result.first_frame_s:.2f} s"
        )
