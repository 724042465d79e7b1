"""Benchmark results as one record, as plots, and against an older record."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import vidbg
from vidbg.errors import ConfigError, SinkError
from vidbg.installation import install_command
from vidbg.pipeline.benchmark import Result


def describe_machine() -> dict[str, Any]:
    """The machine and the versions of what does the work."""
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
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    return {"machine": machine, "versions": versions}


def _cpu_name() -> str:
    try:
        from vidbg.matting.backends.openvino import import_openvino

        return str(import_openvino().Core().get_property("CPU", "FULL_DEVICE_NAME")).strip()
    except (ImportError, RuntimeError):
        return platform.processor() or platform.machine()


def record(source: str, results: Sequence[Result]) -> dict[str, Any]:
    """Everything as one object for scripts.

    `end_to_end`, `stages` and `first_frame_s` are the first engine's; `engines` holds those of all,
    and the network alone.
    """
    engines = [result.as_dict() for result in results]
    first = {key: engines[0][key] for key in ("end_to_end", "stages", "first_frame_s")}
    return {**describe_machine(), "source": source, **first, "engines": engines}


def read_record(path: Path) -> dict[str, Any]:
    """A record as `vidbg bench --json` printed it; lines before the last are passed over.

    Raises:
        ConfigError: there is none in the file.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8").strip().splitlines()[-1])
        found["engines"][0]["end_to_end"]["fps"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"{path} is no record of `vidbg bench --json`: {error}") from None
    return dict(found)


@dataclass(frozen=True, slots=True)
class Change:
    """One figure then and now; `ratio` is now / then."""

    engine: str
    what: str
    then: float
    now: float

    @property
    def ratio(self) -> float:
        return self.now / self.then if self.then else float("inf")


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """The figures of every engine that both records hold at the same network size."""
    earlier = {(e["engine"], e["network_size"]): e for e in old["engines"]}
    found = []
    for engine in new["engines"]:
        before = earlier.get((engine["engine"], engine["network_size"]))
        if before is not None:
            then, now = _figures(before), _figures(engine)
            name = engine["engine"]
            found += [Change(name, key, then[key], now[key]) for key in now if key in then]
    return found


def _figures(engine: dict[str, Any]) -> dict[str, float]:
    whole = engine["end_to_end"]
    figures = {
        "FPS": whole["fps"],
        "latency p50 ms": whole["latency_ms"]["p50"],
        "latency p99 ms": whole["latency_ms"]["p99"],
        "CPU %": whole["cpu_percent"],
        "network alone p50 ms": engine["network"]["latency_ms"]["p50"],
        "first frame s": engine["first_frame_s"],
    }
    return figures | {f"{name} p50 ms": t["p50"] for name, t in engine["stages"].items()}


def draw(results: Sequence[Result], path: Path) -> None:
    """The distribution of the latencies and the stages side by side, as a PNG or SVG.

    Raises:
        SinkError: matplotlib is not installed or does not know the suffix, or the file cannot be
            written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SinkError(f"plots need matplotlib: `{install_command('bench')}`") from None
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
