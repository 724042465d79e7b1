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
    from vidbg.benchmark.benchmark import BenchmarkConfig, Result
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
    from vidbg.benchmark.benchmark import BenchmarkConfig, run_apart, run_benchmark
    from vidbg.benchmark.compare import read_record
    from vidbg.benchmark.report import check_plot
    from vidbg.config import MattingConfig
    from vidbg.matting.backends import engines_here, parse_engine

    if params["compare"] and params["engine"]:
        raise typer.BadParameter("--compare takes every engine; leave out --engine")
    # Read and check everything first: a measurement takes minutes
    old = None if params["against"] is None else read_record(params["against"])
    width, height = parse_size("--size", params["size"])
    measured = options.values_for("benchmark", "bench", params)
    config = BenchmarkConfig(path=source, width=width, height=height, **measured)
    compositing = options.compositing_config("bench", params)
    shared = options.values_for("matting", "bench", params)
    if params["plot"] is not None:
        check_plot(params["plot"])
    # One engine runs in this process, several in one process each
    names = engines_here() if params["compare"] else params["engine"] or ["auto"]
    engines = [
        MattingConfig(device, precision, network=network, **shared)
        for device, precision, network in map(parse_engine, names)
    ]
    run = run_benchmark if len(engines) == 1 else run_apart
    results = [run(config, engine, compositing) for engine in engines]
    report_results(results, config, old, params)


def report_results(
    results: list[Result], config: BenchmarkConfig, old: Record | None, params: options.Params
) -> None:
    """Print tables for people and one line of JSON for scripts, and draw the plot.

    What it needs is imported after the measurement, which counts the memory of this process.

    Args:
        old: an earlier record to compare with.
    """
    from vidbg.benchmark import compare, report
    from vidbg.cli.bench_tables import print_changes, print_results

    facts = report.record(config.describe(), results)
    if not params["json_only"]:
        print_results(results)
    if old is not None:
        for name, (then, now) in compare.differences(old, facts).items():
            typer.echo(f"vidbg: hard to compare: {name} was {then!r} and is {now!r}", err=True)
        if not params["json_only"]:
            print_changes(old, facts)
        facts["against"] = compare.comparison(old, facts)
    typer.echo(json.dumps(facts))
    if params["plot"] is not None:
        report.draw(results, params["plot"])
