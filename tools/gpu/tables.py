"""A GPU's report as tables for docs/performance.md."""

from __future__ import annotations

import json
from typing import Any

Figures = dict[str, Any]


def as_markdown(figures: Figures) -> str:
    lines = [f"`{json.dumps(figures.get('machine', {}))}`", ""]
    lines += [_ceilings(figures.get("ceilings", {})), ""]
    lines += _tensorrt(figures.get("TensorRT", {}))
    if "parity" in figures:
        lines += ["Against the CPU in fp32: share of values within, mean and worst frame", ""]
        lines += _parity(figures["parity"])
    for size, ways in figures.get("network", {}).items():
        lines += [f"Network {size}", ""]
        lines += [_floor(name, sizes[size]) for name, sizes in figures.get("floor", {}).items()]
        lines += ["", *_table("way", ways)]
    for size, ways in figures.get("frames", {}).items():
        lines += [f"Full frames of {size}", "", *_table("way", ways)]
    for size, networks in figures.get("kernels", {}).items():
        lines += [f"Kernels of a full frame of {size}, eager", "", *_kernels(networks)]
    if "training" in figures:
        lines += ["Training steps in bf16", "", *_training(figures["training"])]
    return "\n".join(lines) + "\n"


def _kernels(networks: Figures) -> list[str]:
    lines = ["| network | kernel | calls | ms |", "|---|---|---|---|"]
    for name, facts in networks.items():
        if "error" in facts:
            lines.append(f"| {name} | {facts['error']} |  |  |")
            continue
        lines.append(f"| {name} | all | {facts['count']} | {facts['total_ms']:.3f} |")
        lines += [f"| | `{key}` | {count} | {ms:.3f} |" for key, count, ms in facts["top"]]
    return [*lines, ""]


def _training(networks: Figures) -> list[str]:
    lines = ["| network | layout | step, ms | images a second |", "|---|---|---|---|"]
    for name, layouts in networks.items():
        for layout, facts in layouts.items():
            figures = [f"{facts[key]:.0f}" for key in ("step_ms", "images_s") if key in facts]
            cells = figures or [facts["error"], ""]
            lines.append(f"| {name} | {layout} | {' | '.join(cells)} |")
    return [*lines, ""]


def _ceilings(facts: Figures) -> str:
    if "flops" not in facts:
        return f"Ceilings: {facts.get('error', 'not measured')}"
    copies = {"within": "bytes_s", "up": "up_bytes_s", "down": "down_bytes_s"}
    words = [f"{name} {facts[key] / 1e9:.0f} GB/s" for name, key in copies.items()]
    return f"Ceilings: {facts['flops'] / 1e12:.1f} TFLOP/s; copies {', '.join(words)}"


def _tensorrt(facts: Figures) -> list[str]:
    lines = []
    for name, part in facts.items():
        words = part.get("error") or ", ".join(
            f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}"
            for key, value in part.items()
        )
        lines.append(f"TensorRT, {name}: {words}")
    return [*lines, ""] if lines else []


def _parity(rows: Figures) -> list[str]:
    lines = ["| way | what | mean | worst frame |", "|---|---|---|---|"]
    for way, parts in rows.items():
        if "error" in parts:
            lines.append(f"| {way} | {parts['error']} |  |  |")
        for what, share in parts.items():
            if what != "error" and "mean" in share:
                mean, worst = share["mean"], share["worst"]
                lines.append(f"| {way} | {what} | {mean:.2%} | {worst:.2%} |")
    return [*lines, ""]


def _floor(name: str, facts: Figures) -> str:
    if "error" in facts:
        return f"{name}, floor: {facts['error']}"
    return (
        f"{name}, floor: {facts['gflop']:.1f} GFLOP in {facts['operations_ms']:.3f} ms, "
        f"{facts['megabytes']:.0f} MB in {facts['bytes_ms']:.3f} ms"
    )


def _table(heading: str, rows: Figures) -> list[str]:
    keys = {"p50 ms": "p50", "p99 ms": "p99", "FPS": "fps", "device alone, ms": "device_ms"}
    lines = [f"| {' | '.join([heading, *keys])} |", "|---" * (1 + len(keys)) + "|"]
    for name, row in rows.items():
        cells = [f"{row[key]:.3f}" if key in row else "" for key in keys.values()]
        if "error" in row:
            cells = [row["error"], *[""] * (len(keys) - 1)]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return [*lines, ""]
