"""`vidbg bench`: how fast it is here, stage by stage and end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidbg.cli import options
from vidbg.limits import FRAMES_PER_SECOND

if TYPE_CHECKING:
    from vidbg.pipeline.bench_compare import Record
    from vidbg.pipeline.benchmark import Result

USUAL_SIZE = "384x224"
"""Of the network's input, so that every network is measured at the same."""


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
    full_frame: options.FullFrame = True,
    plot: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw latencies and stages.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="JSON", help="Compare with what --json printed before.")
    ] = None,
    json_only: Annotated[
        bool, typer.Option("--json", help="The JSON line alone (docs/bench-json.md).")
    ] = False,
) -> None:
    """Measure frames per second and latency: a table for people and one JSON line."""
    from vidbg.matting.backends import engines_here, parse_engine
    from vidbg.pipeline import bench_compare, bench_report, benchmark

    if compare and engine:
        raise typer.BadParameter("--compare takes every engine; leave out --engine")
    old = None if against is None else bench_compare.read_record(against)
    width, height = options.parse_size(size, "--size")
    config = benchmark.BenchmarkConfig(source, width, height, frames, warm_up, live_fps, still, y4m)
    compositing = options.compositing_config(background, "cover", 0.0, 0.0, 0.0)
    if plot is not None:
        bench_report.check_plot(plot)
    names = engines_here() if compare else engine or ["auto"]
    matting = [
        options.matting_config(
            *parse_engine(name),
            threads,
            network_size or USUAL_SIZE,
            None,
            True,
            full_frame=full_frame,
        )
        for name in names
    ]
    run = benchmark.run_benchmark if len(names) == 1 else benchmark.run_apart
    results = [run(config, engine_config, compositing) for engine_config in matting]
    facts = bench_report.record(config.describe(), results)
    if not json_only:
        _print_tables(results)
    if old is not None:
        for name, (then, now) in bench_compare.differences(old, facts).items():
            typer.echo(f"vidbg: hard to compare: {name} was {then!r} and is {now!r}", err=True)
        if not json_only:
            _print_changes(old, facts)
        facts["against"] = bench_compare.comparison(old, facts)
    typer.echo(json.dumps(facts))
    if plot is not None:
        bench_report.draw(results, plot)


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


def _print_changes(old: Record, facts: Record) -> None:
    from rich.console import Console
    from rich.table import Table

    from vidbg.pipeline.bench_compare import changes

    console = Console()
    found = changes(old, facts)
    if not found:
        console.print("the older record holds none of these engines at this network size")
        return
    versions = old.get("versions")
    version = versions.get("vidbg", "?") if isinstance(versions, dict) else "?"
    table = Table(title=f"against vidbg {version}, {old.get('source', '?')}")
    for heading in ("engine", "figure", "then", "now", "now / then"):
        table.add_column(heading, justify="left" if heading in ("engine", "figure") else "right")
    for change in found:
        ratio = "" if change.ratio is None else f"{change.ratio:.2f}"
        numbers = (f"{change.then:.2f}", f"{change.now:.2f}", ratio)
        table.add_row(change.engine, change.what, *numbers)
    console.print(table)
