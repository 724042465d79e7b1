"""Measures a stream by stage and end to end."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vidbg.compositing import CompositingConfig, Compositor
from vidbg.config import MattingConfig
from vidbg.errors import BackendError, ConfigError
from vidbg.frame import Frame, StreamInfo
from vidbg.matting.backends import Backend
from vidbg.matting.ladder import file_step
from vidbg.matting.preprocess import Geometry, network_input, plan_geometry, shrink
from vidbg.matting.video_matting import VideoMatting
from vidbg.option_table import check_config
from vidbg.pipeline.files.stream import MAX_UNDER_WAY, Stream, StreamReport
from vidbg.pipeline.frame_processor import FrameProcessor, FrameProcessors
from vidbg.pipeline.live import Appearance, Supervisor, SupervisorConfig
from vidbg.pipeline.live.capture.camera_request import CameraRequest
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.network.governor import Level
from vidbg.pipeline.live.outputs.output_gate import OutputGate
from vidbg.pipeline.live.outputs.output_writer import OutputTarget
from vidbg.pipeline.live.pipeline import LivePipeline
from vidbg.platform.memory import limit_arenas
from vidbg.platform.processor import use_one_opencv_thread
from vidbg.sinks import Sink
from vidbg.sinks.memory_sink import MemorySink
from vidbg.sinks.stream.raw_pipe import RawPipeSink
from vidbg.sources import Source, open_frames
from vidbg.sources.synthetic import SyntheticSource, swaying_person
from vidbg.util.timing import StageClock

Times = dict[str, float]
PERCENTILES = (50, 95, 99)

SETTLE_S = 0.3
"""Delay from the start of a live measurement to its first frame."""


@dataclass(frozen=True, slots=True)
class BenchmarkConfig:
    """What to measure.

    Attributes:
        path: a video; None for a synthetic person of the given size.
        width, height: of the synthetic frames, in pixels.
        frames: number of measured frames; a shorter video is measured in full.
        warm_up: frames before the measurement.
        live_fps: run live, as `vidbg run` does, with a synthetic camera of this many frames a
            second, dropping late frames; None for full speed.
        still: the synthetic person does not move.
        y4m: write the results as raw video, which is discarded; else keep them in memory.
    """

    path: Path | None
    width: int
    height: int
    frames: int
    warm_up: int
    live_fps: float | None
    still: bool = False
    y4m: bool = False

    def __post_init__(self) -> None:
        if self.path is not None and self.live_fps is not None:
            raise ConfigError("a file has its own pace; --live-fps goes with the synthetic source")
        if self.path is not None and self.still:
            raise ConfigError("a file moves as it does; --still goes with the synthetic source")
        check_config(self, "benchmark")

    def describe(self) -> str:
        pace = "" if self.live_fps is None else f" at {self.live_fps:g} FPS"
        still = " still" if self.still else ""
        return str(self.path or f"synthetic {self.width}x{self.height}{pace}{still}")

    def open(self) -> Source:
        if self.path is not None:
            return open_frames(self.path)
        rate = Fraction(self.live_fps or 30).limit_denominator(1001)
        live = self.live_fps is not None
        size = self.width, self.height
        pictures = swaying_person(*size)[:1] if self.still else None
        return SyntheticSource(*size, rate, self.frames, live, pictures=pictures)

    @contextmanager
    def open_sink(self, info: StreamInfo) -> Iterator[Sink]:
        if not self.y4m:
            with MemorySink(max_frames=1) as memory:
                yield memory
        else:
            with (
                Path(os.devnull).open("wb") as nowhere,
                RawPipeSink(info, nowhere) as pipe,
            ):
                yield pipe


@dataclass(frozen=True, slots=True)
class Result:
    """The measurements of one engine.

    Attributes:
        network_ms, network_fps: of the network alone, one input after another.
        network_minimum_ms, network_cpu_ms: the fastest of these, and their mean CPU time on all
            cores, which other programs on the computer change little.
        latencies_ms: of every frame, in milliseconds.
        drops: frames superseded by newer ones.
        repeated: in a live run, output frames repeated because no new one was ready in time.
        reused: static frames for which the network was skipped.
        stages_ms, latency_ms: percentiles p50, p95, p99 in milliseconds; latency is from read to
            written and includes the time in queues.
        first_frame_s: from loading the network to the first composited frame.
        cpu_percent: of one core, over the measurement.
        cpu_ms: CPU time per frame on all cores, in milliseconds.
        rss_mb: the process's largest resident memory so far; None on Windows.
    """

    engine: str
    network_size: str
    network_ms: Times
    network_fps: float
    network_minimum_ms: float
    network_cpu_ms: float
    first_frame_s: float
    frames: int
    fps: float
    drops: int
    repeated: int
    latency_ms: Times
    stages_ms: dict[str, Times]
    cpu_percent: float
    cpu_ms: float
    rss_mb: float | None
    latencies_ms: list[float]
    reused: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "engine": self.engine,
            "network_size": self.network_size,
            "network": {
                "fps": round(self.network_fps, 2),
                "latency_ms": self.network_ms,
                "least_ms": round(self.network_minimum_ms, 3),
                "cpu_ms": round(self.network_cpu_ms, 3),
            },
            "first_frame_s": round(self.first_frame_s, 3),
            "end_to_end": {
                "frames": self.frames,
                "fps": round(self.fps, 2),
                "latency_ms": self.latency_ms,
                "drops": self.drops,
                "repeated": self.repeated,
                "reused": self.reused,
                "cpu_percent": round(self.cpu_percent, 1),
                "cpu_ms": round(self.cpu_ms, 2),
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
    limit_arenas()  # as a live run does
    use_one_opencv_thread()
    start = time.perf_counter()
    with (
        VideoMatting(config=matting) as matter,
        closing(Compositor(compositing, open_frames)) as compositor,
        FrameProcessors(MAX_UNDER_WAY) as processors,
    ):
        with config.open() as source:
            processor = processors.choose(matter, compositor, source.info)
            frame = next(iter(source))
            for matte in processor.start(frame):
                processor.finish(matte)
        first_frame_s = time.perf_counter() - start
        for index in range(config.warm_up):
            again = replace(frame, pts=frame.pts + (index + 1) / 30)
            for matte in processor.start(again):
                processor.finish(matte)
        plan = plan_geometry(frame.height, frame.width, file_step(matting).pixels)
        cpu_s = time.process_time()
        network_s = _time_network(matter.backend, frame, plan, config.frames)
        network_cpu_s = (time.process_time() - cpu_s) / len(network_s)
        processor.reset()
        matter.clock.clear()
        measured = _Measured(first_frame_s, network_s, network_cpu_s)
        if config.live_fps is None:
            return _measure(config, plan, matter, processor, measured)
        processors.close()  # a live run opens the device's graph itself
        return _measure_live(config, plan, matter, compositing, measured)


def run_apart(
    config: BenchmarkConfig, matting: MattingConfig, compositing: CompositingConfig
) -> Result:
    """Run `run_benchmark` in a separate process, so that engines do not share memory.

    The process ends with this call, even if a signal interrupts it.
    """
    before = set(multiprocessing.active_children())
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(run_benchmark, config, matting, compositing).result()
        except BaseException:
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
            raise


def _time_network(backend: Backend, frame: Frame, plan: Geometry, count: int) -> list[float]:
    """Time each call in seconds, until its alpha is in memory."""
    batch = network_input(shrink(frame.image, plan), None, plan)
    clock = StageClock()
    for _ in range(count):
        with clock.stage("network"):
            backend(batch)
    return clock.seconds()["network"]


@dataclass(frozen=True, slots=True)
class _Measured:
    """Measurements made before the stream runs, in seconds."""

    first_frame_s: float
    network_s: list[float]
    network_cpu_s: float


def _measure(
    config: BenchmarkConfig,
    plan: Geometry,
    matter: VideoMatting,
    processor: FrameProcessor,
    measured: _Measured,
) -> Result:
    reused = matter.reused
    with config.open() as source, config.open_sink(source.info) as sink:
        stream = Stream(source, processor, sink, frame_limit=config.frames)
        cpu_s = time.process_time()
        report = stream.run()
        cpu_s = time.process_time() - cpu_s
    return _result(plan, matter, measured, report, 0, cpu_s, matter.reused - reused)


class _Loaded:
    """Provides the warmed-up network to a live run."""

    def __init__(self, matter: VideoMatting) -> None:
        self._matter = matter
        self.levels, self.matting_config = [Level(matter.step)], matter.config
        self.cpu_limit = 1.0

    def load(self) -> VideoMatting:
        return self._matter

    def better(self) -> bool:
        return False

    def blame(self) -> None:
        raise BackendError("the network failed while it was measured")

    def close(self, patience_s: float) -> None:
        """Do nothing, because the caller closes the matter."""


def _measure_live(
    config: BenchmarkConfig,
    plan: Geometry,
    matter: VideoMatting,
    compositing: CompositingConfig,
    measured: _Measured,
) -> Result:
    """Measure the pipeline of `vidbg run`, with a separate alpha for every frame."""
    reused = matter.reused

    def open_source() -> Source:
        time.sleep(SETTLE_S)  # let the stages get ready: a real camera takes longer to open
        return config.open()

    with config.open() as source:
        info = source.info
    with config.open_sink(info) as sink:
        context = RunContext(info, Appearance(compositing))
        gate = OutputGate([OutputTarget("", lambda: sink)], context)
        pipeline = LivePipeline(context, CameraRequest(open_source), _Loaded(matter), gate)
        supervisor = Supervisor(pipeline, SupervisorConfig(on_demand=False))
        cpu_s = time.process_time()
        report = supervisor.run()
        cpu_s = time.process_time() - cpu_s
    if report.frames < 2:
        raise BackendError("no frames came through; -v tells why")
    seconds = report.seconds * report.frames / (report.frames - 1)  # add the last frame's share
    stream = StreamReport(report.frames, report.dropped, seconds, report.latencies_s)
    matter.clock = supervisor.clock
    return _result(plan, matter, measured, stream, report.repeated, cpu_s, matter.reused - reused)


def _result(
    plan: Geometry,
    matter: VideoMatting,
    measured: _Measured,
    report: StreamReport,
    repeated: int,
    cpu_s: float,
    reused: int,
) -> Result:
    stages_ms = {name: percentiles_ms(s) for name, s in matter.clock.seconds().items()}
    whole = ", full frame" if {"fetch", "device"} & set(stages_ms) else ""
    network = ", light" if matter.step.network == "light" else ""
    return Result(
        engine=f"{matter.backend.name} {matter.backend.precision}{network}{whole}",
        network_size=f"{plan.width}x{plan.height}",
        network_ms=percentiles_ms(measured.network_s),
        network_fps=len(measured.network_s) / sum(measured.network_s),
        network_minimum_ms=1e3 * min(measured.network_s),
        network_cpu_ms=1e3 * measured.network_cpu_s,
        first_frame_s=measured.first_frame_s,
        frames=report.frames,
        fps=report.frames / report.seconds,
        drops=report.dropped,
        repeated=repeated,
        latency_ms=percentiles_ms(report.latencies_s),
        stages_ms=stages_ms,
        cpu_percent=100 * cpu_s / report.seconds,
        cpu_ms=1e3 * cpu_s / report.frames,
        rss_mb=_peak_memory_mb(),
        latencies_ms=[1e3 * seconds for seconds in report.latencies_s],
        reused=reused,
    )


def percentiles_ms(seconds: list[float]) -> Times:
    """Return p50, p95 and p99 in milliseconds, rounded to microseconds."""
    values = np.percentile(np.array(seconds) * 1e3, PERCENTILES)
    return {f"p{p}": round(float(v), 3) for p, v in zip(PERCENTILES, values, strict=True)}


def _peak_memory_mb() -> float | None:
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
