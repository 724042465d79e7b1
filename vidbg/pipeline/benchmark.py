"""Measures a stream: stage by stage, end to end, with the machine it ran on."""

from __future__ import annotations

import os
import platform
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import vidbg
from vidbg.compositing import CompositingConfig, Compositor
from vidbg.config import MattingConfig
from vidbg.errors import ConfigError
from vidbg.frame import Frame
from vidbg.matting.matter import Matter
from vidbg.matting.preprocess import plan_geometry
from vidbg.pipeline.stream import Stream
from vidbg.sinks.memory import MemorySink
from vidbg.sources import Source, open_frames
from vidbg.sources.synthetic import SyntheticSource

Times = dict[str, float]
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class BenchmarkConfig:
    """What to measure.

    Attributes:
        path: a video; None for a synthetic person of the given size.
        width, height: of the synthetic frames, in pixels.
        frames: measured; a shorter video is measured whole.
        warm_up: frames before the measurement.
        live_fps: pace the synthetic source so and drop what is late; None for as fast as it goes.
    """

    path: Path | None
    width: int
    height: int
    frames: int
    warm_up: int
    live_fps: float | None

    def __post_init__(self) -> None:
        if self.path is not None and self.live_fps is not None:
            raise ConfigError("a file has its own pace; --live-fps goes with the synthetic source")

    def describe(self) -> str:
        pace = "" if self.live_fps is None else f" at {self.live_fps:g} FPS"
        return str(self.path or f"synthetic {self.width}x{self.height}{pace}")

    def open(self) -> Source:
        if self.path is not None:
            return open_frames(self.path)
        rate = Fraction(self.live_fps or 30).limit_denominator(1001)
        live = self.live_fps is not None
        return SyntheticSource(self.width, self.height, rate, self.frames, live)


@dataclass(frozen=True, slots=True)
class Result:
    """What one engine did.

    Attributes:
        stages_ms, latency_ms: percentiles p50, p95, p99 in milliseconds; latency is from read to
            written and holds the time in queues.
        first_frame_s: from loading the network to the first composited frame.
        cpu_percent: of one core, over the measurement.
        rss_mb: the process's largest resident memory so far; None on Windows.
    """

    engine: str
    network_size: str
    first_frame_s: float
    frames: int
    fps: float
    drops: int
    latency_ms: Times
    stages_ms: dict[str, Times]
    cpu_percent: float
    rss_mb: float | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "engine": self.engine,
            "network_size": self.network_size,
            "first_frame_s": round(self.first_frame_s, 3),
            "end_to_end": {
                "frames": self.frames,
                "fps": round(self.fps, 2),
                "latency_ms": self.latency_ms,
                "drops": self.drops,
                "cpu_percent": round(self.cpu_percent, 1),
                "rss_mb": self.rss_mb,
            },
            "stages": self.stages_ms,
        }


def run_benchmark(
    config: BenchmarkConfig, matting: MattingConfig, compositing: CompositingConfig
) -> Result:
    """Warm up, then run one stream into memory.

    Raises:
        VidbgError: the engine or the source cannot be used.
    """
    start = time.perf_counter()
    with (
        Matter(config=matting) as matter,
        closing(Compositor(compositing, open_frames)) as compositor,
    ):
        with config.open() as source:
            frame = next(iter(source))
            compositor(frame, matter(frame.image, frame.pts))
        first_frame_s = time.perf_counter() - start
        for index in range(config.warm_up):
            compositor(frame, matter(frame.image, frame.pts + (index + 1) / 30))
        matter.reset()
        matter.clock.clear()
        return _measure(config, matting, matter, compositor, first_frame_s, frame)


def _measure(
    config: BenchmarkConfig,
    matting: MattingConfig,
    matter: Matter,
    compositor: Compositor,
    first_frame_s: float,
    frame: Frame,
) -> Result:
    plan = plan_geometry(frame.height, frame.width, matting.network_pixels)
    with config.open() as source, MemorySink(max_frames=1) as sink:
        stream = Stream(source, matter, compositor, sink, frame_limit=config.frames)
        cpu = time.process_time()
        report = stream.run()
        cpu = time.process_time() - cpu
    return Result(
        engine=f"{matter.backend.name} {matter.backend.precision}",
        network_size=f"{plan.width}x{plan.height}",
        first_frame_s=first_frame_s,
        frames=report.frames,
        fps=report.frames / report.seconds,
        drops=report.dropped,
        latency_ms=percentiles_ms(report.latencies_s),
        stages_ms={name: percentiles_ms(s) for name, s in matter.clock.seconds().items()},
        cpu_percent=100 * cpu / report.seconds,
        rss_mb=_peak_memory_mb(),
    )


def percentiles_ms(seconds: list[float]) -> Times:
    """p50, p95 and p99 in milliseconds, rounded to microseconds."""
    values = np.percentile(np.array(seconds) * 1e3, PERCENTILES)
    return {f"p{p}": round(float(v), 3) for p, v in zip(PERCENTILES, values, strict=True)}


def describe_machine() -> dict[str, Any]:
    """The machine and the versions of what does the work."""
    packages = ("numpy", "opencv-python", "openvino", "torch")
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
        import openvino

        return str(openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")).strip()
    except (ImportError, RuntimeError):
        return platform.processor() or platform.machine()


def _peak_memory_mb() -> float | None:
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
