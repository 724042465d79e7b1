"""Tables of `vidbg bench` for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from vidbg.benchmark.compare import changes

if TYPE_CHECKING:
    from vidbg.benchmark.benchmark import Result
    from vidbg.benchmark.compare import Record


def print_results(results: list[Result]) -> None:
    """Print the times of each engine's stages, and its rates."""
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


def print_changes(old: Record, facts: Record) -> None:
    """Print the figures of two records side by side, for the engines that both have."""
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
