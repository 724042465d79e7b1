"""Benchmark results as one record and as plots."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import vidbg
from vidbg.benchmark.benchmark import Result
from vidbg.benchmark.compare import FORMAT
from vidbg.errors import ConfigError, SinkError
from vidbg.platform.installation import install_command
from vidbg.platform.processor import processor_features, processor_name
from vidbg.util.choices import refusal
from vidbg.util.paths import is_folder


def describe_machine() -> dict[str, Any]:
    """Describe the machine and the versions of the libraries used."""
    packages = (
        "numpy",
        "opencv-python",
        "openvino",
        "torch",
        "tensorrt",
        "tensorrt-rtx-cu13",
        "cuda-bindings",
    )
    versions = {"vidbg": vidbg.__version__, "python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    machine = {
        "cpu": processor_name(),
        "features": processor_features(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
    }
    return {"machine": machine, "versions": versions}


def record(source: str, results: Sequence[Result]) -> dict[str, Any]:
    """Return all results as one object for scripts; see docs/bench-json.md.

    `end_to_end`, `stages` and `first_frame_s` are the first engine's; `engines` has them for every
    engine, along with the network alone.
    """
    engines = [result.as_dict() for result in results]
    first = {key: engines[0][key] for key in ("end_to_end", "stages", "first_frame_s")}
    return {"format": FORMAT, **describe_machine(), "source": source, **first, "engines": engines}


def check_plot(path: Path) -> None:
    """Refuse a plot that cannot be drawn, before anything is measured.

    Raises:
        SinkError: matplotlib is not installed, or the folder does not exist.
        ConfigError: matplotlib does not know the suffix.
    """
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError:
        raise SinkError(f"plots need matplotlib: `{install_command('bench')}`") from None
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in known:
        raise ConfigError(
            refusal("suffix of the plot", path.suffix, [f".{name}" for name in known])
        )
    if not is_folder(path.absolute().parent):
        raise SinkError(f"there is no folder {path.absolute().parent} for the plot; make it")


def draw(results: Sequence[Result], path: Path) -> None:
    """Plot the latency distribution and the stages side by side, as a PNG or SVG.

    Raises:
        SinkError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2 + 0.5 * len(results)), layout="constrained")
    left, right = figure.subplots(1, 2)
    for result in results:
        shares = [100 * (i + 1) / len(result.latencies_ms) for i in range(len(result.latencies_ms))]
        left.plot(sorted(result.latencies_ms), shares, label=result.engine)
    left.set(xlabel="latency, ms", ylabel="frames at most so late, %", xlim=(0, None))
    left.set_title("frame in to frame out")
    left.grid(alpha=0.3)
    left.legend(fontsize="small", loc="lower right")
    _draw_stages(right, results)
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        raise SinkError(f"the plot {path} cannot be written: {error}") from None


def _draw_stages(axis: Any, results: Sequence[Result]) -> None:
    names = list(dict.fromkeys(name for result in results for name in result.stages_ms))
    left = [0.0] * len(results)
    labels = [result.engine for result in results]
    for name in names:
        widths = [result.stages_ms.get(name, {"p50": 0.0})["p50"] for result in results]
        axis.barh(labels, widths, left=left, label=name)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axis.set(xlabel="p50, ms (threads overlap: not the time between frames)", title="stages")
    axis.invert_yaxis()
    axis.legend(fontsize="small", ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.25))
