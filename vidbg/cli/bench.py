"""`vidbg bench`: how fast it is here, stage by stage and end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidbg.cli import options
from vidbg.limits import FRAMES_PER_SECOND

if TYPE_CHECKING:
    from vidbg.pipeline.bench_report import Change
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
        float | None,
        typer.Option(
            callback=options.within(FRAMES_PER_SECOND),
            help="Run live at this rate, as `vidbg run`, and count drops.",
        ),
    ] = None,
    still: Annotated[
        bool, typer.Option("--still", help="The synthetic person does not move.")
    ] = False,
    y4m: Annotated[
        bool, typer.Option("--y4m", help="Convert the results as for a pipe, and discard them.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Every device and precision there is here.")
    ] = False,
    background: options.Background = "green",
    gpu: options.Gpu = None,  # noqa: ARG001  (it acts as it is read)
    threads: options.Threads = None,
    network_size: options.NetworkSize = None,
    whole_frame: options.WholeFrame = True,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw latencies and stages.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="JSON", help="Compare with what --json once printed.")
    ] = None,
    json_only: Annotated[bool, typer.Option("--json", help="The JSON line alone.")] = False,
) -> None:
    """Measure frames per second and latency: a table for people and one JSON line."""
    from vidbg.matting.backends import engines_here, parse_engine
    from vidbg.pipeline import bench_report, benchmark

    if compare and engine:
        raise typer.BadParameter("--compare takes every engine; leave out --engine")
    old = None if against is None else bench_report.read_record(against)
    width, height = options.parse_size(size, "--size")
    config = benchmark.BenchmarkConfig(source, width, height, frames, warm_up, live_fps, still, y4m)
    compositing = options.compositing_config(background, "cover", 0.0, 0.0, 0.0)
    names = engines_here() if compare else engine or ["auto"]
    run = benchmark.run_benchmark if len(names) == 1 else benchmark.run_apart
    results = []
    for name in names:
        device, precision = parse_engine(name)
        matting = options.matting_config(
            device, precision, threads, network_size, None, True, whole_frame=whole_frame
        )
        results.append(run(config, matting, compositing))
    facts = bench_report.record(config.describe(), results)
    if not json_only:
        _print_tables(results)
        if old is not None:
            _print_changes(bench_report.changes(old, facts), old)
    if plot is not None:
        bench_report.draw(results, plot)
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
            f"network alone {result.network_fps:.1f} FPS, p50 {result.network_ms['p50']:.2f} ms, "
            f"p99 {result.network_ms['p99']:.2f} ms"
        )
        console.print(
            f"{result.fps:.1f} FPS end to end, {result.drops} dropped, {result.repeated} repeated, "
            f"{result.reused} still, "
            f"{result.cpu_percent:.0f} % CPU, {result.rss_mb or 0:.0f} MB, "
            f"first frame after {result.first_frame_s:.2f} s"
        )


def _print_changes(found: list[Change], old: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not found:
        console.print("the older record holds none of these engines at this network size")
        return
    versions = old.get("versions", {})
    table = Table(title=f"against vidbg {versions.get('vidbg', '?')}, {old.get('source', '?')}")
    for heading in ("engine", "figure", "then", "now", "now / then"):
        table.add_column(heading, justify="left" if heading in ("engine", "figure") else "right")
    for change in found:
        numbers = (f"{change.then:.2f}", f"{change.now:.2f}", f"{change.ratio:.2f}")
        table.add_row(change.engine, change.what, *numbers)
    console.print(table)
