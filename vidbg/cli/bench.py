"""`vidbg bench`: measure the speed of this machine, per stage and end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidbg.cli import options
from vidbg.platform.memory import require_addresses
from vidbg.util.limits import parse_size

if TYPE_CHECKING:
    from vidbg.benchmark.benchmark import Result
    from vidbg.benchmark.compare import Record


@options.takes_options("bench")
def bench(
    source: Annotated[
        Path | None, typer.Argument(metavar="INPUT", help="Video; default: a synthetic person.")
    ] = None,
    **params: Any,
) -> None:
    """Measure frames per second and latency: a table for people and one JSON line."""
    require_addresses()
    from vidbg.benchmark import benchmark
    from vidbg.benchmark import compare as bench_compare
    from vidbg.benchmark import report as bench_report
    from vidbg.config import MattingConfig
    from vidbg.matting.backends import engines_here, parse_engine

    if params["compare"] and params["engine"]:
        raise typer.BadParameter("--compare takes every engine; leave out --engine")
    # Read and check everything first: a measurement takes minutes
    old = None if params["against"] is None else bench_compare.read_record(params["against"])
    width, height = parse_size("--size", params["size"])
    measured = options.values_for("benchmark", "bench", params)
    config = benchmark.BenchmarkConfig(path=source, width=width, height=height, **measured)
    compositing = options.compositing_config("bench", params)
    plot, json_only = params["plot"], params["json_only"]
    if plot is not None:
        bench_report.check_plot(plot)
    # One engine runs in this process, several in one process each
    names = engines_here() if params["compare"] else params["engine"] or ["auto"]
    shared = options.values_for("matting", "bench", params)
    matting = []
    for name in names:
        device, precision, network = parse_engine(name)
        matting.append(MattingConfig(device, precision, network=network, **shared))
    run = benchmark.run_benchmark if len(names) == 1 else benchmark.run_apart
    results = [run(config, engine_config, compositing) for engine_config in matting]
    # Tables and changes are for people, the one line of JSON for scripts
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
            f"p99 {result.network_ms['p99']:.2f} ms, least {result.network_minimum_ms:.2f} ms, "
            f"{result.network_cpu_ms:.2f} ms of CPU"
        )
        console.print(
            f"{result.fps:.1f} FPS end to end, {result.drops} dropped, {result.repeated} repeated, "
            f"{result.reused} still, "
            f"{result.cpu_percent:.0f} % CPU ({result.cpu_ms:.1f} ms a frame), "
            f"{result.rss_mb or 0:.0f} MB, "
            f"first frame after {result.first_frame_s:.2f} s"
        )


def _print_changes(old: Record, facts: Record) -> None:
    from rich.console import Console
    from rich.table import Table

    from vidbg.benchmark.compare import changes

    console = Console()
    figures = changes(old, facts)
    if not figures:
        console.print("the older record has none of these engines at this network size")
        return
    versions = old.get("versions")
    version = versions.get("vidbg", "?") if isinstance(versions, dict) else "?"
    table = Table(title=f"against vidbg {version}, {old.get('source', '?')}")
    for heading in ("engine", "figure", "then", "now", "now / then"):
        table.add_column(heading, justify="left" if heading in ("engine", "figure") else "right")
    for change in figures:
        ratio = "" if change.ratio is None else f"{change.ratio:.2f}"
        numbers = (f"{change.then:.2f}", f"{change.now:.2f}", ratio)
        table.add_row(change.engine, change.what, *numbers)
    console.print(table)
