"""A long live run with regular faults: `python tests/soak.py --minutes 60`.

The real network on the CPU, a synthetic camera, a sink that counts. One fault after the other is
injected and taken back; memory, threads and open files are sampled in between. Prints a row a
minute and a summary, and exits 1 if something grew, leaked, or did not recover.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from live_rig import Faulty, unplugged

from vidbg.compositing import CompositingConfig, parse_background
from vidbg.config import MattingConfig
from vidbg.errors import BackendError, SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.matting.backends import load_backend
from vidbg.matting.ladder import file_step
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.live import Appearance, LiveStatus, Supervisor
from vidbg.pipeline.live.capture.camera_request import CameraRequest
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.network.governor import Level
from vidbg.pipeline.live.outputs.output_gate import OutputGate
from vidbg.pipeline.live.outputs.output_writer import OutputTarget
from vidbg.pipeline.live.pipeline import LivePipeline
from vidbg.platform.memory import limit_arenas
from vidbg.platform.processor import use_one_opencv_thread
from vidbg.sinks.memory_sink import MemorySink
from vidbg.sources.synthetic import SyntheticSource, swaying_person

FAULT_S = 4.0
RECOVERY_S = 20.0
GROWTH_MB = 60.0
"""What may come on top of the memory after the first tenth: each hung thread that is left behind
keeps its network (60 MB) until its call returns."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process holds."""

    minutes: float
    rss_mb: float
    threads: int
    files: int

    @classmethod
    def now(cls, start: float) -> Sample:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        rss_mb = pages * os.sysconf("SC_PAGESIZE") / 1e6
        files = len(list(Path("/proc/self/fd").iterdir()))
        minutes = (time.monotonic() - start) / 60
        return cls(minutes, rss_mb, threading.active_count(), files)


class Camera(SyntheticSource):
    """A synthetic camera that can be broken."""

    def __init__(self, soak: Soak) -> None:
        super().__init__(*soak.size, soak.rate, live=True, pictures=soak.pictures)
        self._soak = soak
        soak.source(None)

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            yield self._soak.source(frame)


class Output(MemorySink):
    """Keeps the last frame, can be broken."""

    def __init__(self, soak: Soak) -> None:
        super().__init__(max_frames=1)
        self._soak = soak
        soak.sink(None)

    def write(self, frame: Frame) -> None:
        self._soak.sink(frame)
        super().write(frame)
        self._soak.written += 1

    def watched(self) -> bool | None:
        return self._soak.watched


class Network:
    """The real backend, which can be broken."""

    def __init__(self, soak: Soak) -> None:
        self._backend = load_backend("cpu")
        self._soak = soak
        self.name, self.precision = self._backend.name, self._backend.precision

    def __call__(self, batch: Any) -> Any:
        return self._soak.backend(self._backend(batch))

    def ready(self, height: int, width: int) -> bool:
        return self._backend.ready(height, width)

    def prepare(self, height: int, width: int) -> None:
        self._backend.prepare(height, width)

    def close(self) -> None:
        self._backend.close()


def _raise(kind: type[Exception], *arguments: str) -> Any:
    def fault(_: Any) -> Any:
        raise kind(*arguments)

    return fault


@dataclass
class Soak:
    """The run, its faults and what was measured."""

    size: tuple[int, int]
    rate: Fraction
    source: Faulty = field(default_factory=Faulty)
    backend: Faulty = field(default_factory=Faulty)
    sink: Faulty = field(default_factory=Faulty)
    watched: bool | None = None
    written: int = 0
    blamed: int = 0
    status: LiveStatus | None = None
    samples: list[Sample] = field(default_factory=list)
    recoveries_s: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pictures = swaying_person(*self.size)
        self.backgrounds = [
            Appearance(CompositingConfig(parse_background(name)))
            for name in ("blur", "#204060", "green")
        ]
        info = StreamInfo(*self.size, frame_rate=self.rate, live=True)
        self.matting_config = MattingConfig("cpu")
        self.levels = [Level(file_step(self.matting_config))]
        self.cpu_limit = 1.0
        context = RunContext(info, self.backgrounds[0])
        gate = OutputGate([OutputTarget("", lambda: Output(self))], context)
        self.pipeline = LivePipeline(context, CameraRequest(lambda: Camera(self)), self, gate)
        self.supervisor = Supervisor(self.pipeline, on_status=self._heed)

    def _heed(self, status: LiveStatus) -> None:
        self.status = status

    def load(self) -> VideoMatting:
        """As the supervisor's Networks."""
        return VideoMatting(config=self.matting_config, backend=Network(self))

    def blame(self) -> None:
        self.blamed += 1

    def better(self) -> bool:
        return False

    def close(self, patience_s: float) -> None:
        """Nothing is being built."""

    def faults(self) -> dict[str, tuple[Faulty, Any]]:
        return {
            "camera unplugged": (self.source, unplugged),
            "backend raises": (self.backend, _raise(BackendError, "driver")),
            "output gone": (self.sink, _raise(SinkError, "gone")),
            "camera frozen": (self.source, None),
            "memory runs out": (self.backend, _raise(MemoryError)),
            "backend hangs": (self.backend, None),
            "NaN": (self.backend, lambda alpha: np.full_like(alpha, np.nan)),
            "output hangs": (self.sink, None),
        }

    @property
    def live(self) -> bool:
        return self.status is not None and self.status.state.value == "live"

    def inject(self, name: str) -> None:
        """One fault, and the seconds from its end to the next live frame."""
        place, fault = self.faults()[name]
        place.released.clear()
        place.fault = place.hang if fault is None else fault
        time.sleep(FAULT_S)
        place.fault = None
        place.released.set()
        self.recoveries_s.setdefault(name, []).append(self._wait_live())

    def sleep_and_wake(self) -> None:
        """Nobody watches for a while."""
        self.watched = False
        time.sleep(FAULT_S + 4)
        self.watched = True
        self.recoveries_s.setdefault("nobody watched", []).append(self._wait_live())
        self.watched = None

    def _wait_live(self) -> float:
        start = time.monotonic()
        count = self.pipeline.outputs.frames
        while not (self.live and self.pipeline.outputs.frames > count):
            if time.monotonic() - start > RECOVERY_S:
                return float("inf")
            time.sleep(0.01)
        return time.monotonic() - start


def run(soak: Soak, minutes: float, every_s: float) -> int:
    """Soak; the exit code."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(soak.supervisor.run()), daemon=True)
    thread.start()
    start = time.monotonic()
    soak._wait_live()
    cpu = time.process_time()
    turn, next_row = 0, 0.0
    names = [*soak.faults(), "sleep"]
    while (elapsed := time.monotonic() - start) < 60 * minutes and thread.is_alive():
        if elapsed >= next_row:
            soak.samples.append(Sample.now(start))
            print(_row(soak), flush=True)
            next_row += 60.0
        begun, name = time.monotonic(), names[turn % len(names)]
        soak.sleep_and_wake() if name == "sleep" else soak.inject(name)
        soak.supervisor.change(soak.backgrounds[turn % len(soak.backgrounds)])
        turn += 1
        time.sleep(max(0.0, every_s - (time.monotonic() - begun)))
    cpu = time.process_time() - cpu
    soak.samples.append(Sample.now(start))
    soak.supervisor.stop()
    thread.join(20)
    return _judge(soak, results[0] if results else None, 100 * cpu / (time.monotonic() - start))


def _row(soak: Soak) -> str:
    sample = soak.samples[-1]
    state = soak.status.state.value if soak.status else "-"
    return (
        f"{sample.minutes:6.1f} min  {sample.rss_mb:7.1f} MB  {sample.threads:3d} threads  "
        f"{sample.files:3d} files  {soak.written:7d} written  {state}"
    )


def _judge(soak: Soak, report: Any, cpu_percent: float) -> int:
    print(_row(soak))
    for name, seconds in soak.recoveries_s.items():
        worst = max(seconds)
        usual = np.median(seconds)
        print(f"{name}: {len(seconds)} times, live after {usual:.2f} s, at worst {worst:.2f} s")
    settled = soak.samples[len(soak.samples) // 10 :]
    first, last = settled[0], settled[-1]
    slope = np.polyfit([s.minutes for s in settled], [s.rss_mb for s in settled], 1)[0]
    grown = last.rss_mb - first.rss_mb
    print(f"memory {slope * 60:+.1f} MB an hour ({grown:+.1f} MB since {first.minutes:.0f} min)")
    print(f"threads {first.threads} -> {last.threads}, files {first.files} -> {last.files}")
    print(f"processor {cpu_percent:.0f} % of one core; {report}")
    recovered = all(max(seconds) < RECOVERY_S for seconds in soak.recoveries_s.values())
    flat = last.threads <= first.threads + 4 and last.files <= first.files + 4
    good = report is not None and recovered and flat and grown < GROWTH_MB
    print("passed" if good else "failed")
    return 0 if good else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every", type=float, default=60, help="seconds from fault to fault")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--fps", type=Fraction, default=Fraction(30))
    given = parser.parse_args()
    width, height = map(int, given.size.split("x"))
    limit_arenas()  # as the command does
    use_one_opencv_thread()
    sys.exit(run(Soak((width, height), given.fps), given.minutes, given.every))


if __name__ == "__main__":
    main()
