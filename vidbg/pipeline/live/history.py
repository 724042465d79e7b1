"""Statistics of a live run: one sample a second, for the last ten minutes."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from vidbg.pipeline.live.status import State

KEPT_S = 600
"""Samples kept: ten minutes."""

PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What a run did in one second.

    Attributes:
        time_s: when the second ended, in seconds since 1970. It never falls: where the clock is
            set back, times go on from the last one.
        state: what viewers saw at its end.
        fps: composited frames that were written, a second.
        latency_p50_ms, latency_p95_ms: of those frames, from arrival to the first output; None if
            there were none.
        dropped: camera frames superseded by newer ones.
        cpu_percent: of one core.
        memory_mb: resident memory of the process; None where the system does not tell.
    """

    time_s: float
    state: State
    fps: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    dropped: int
    cpu_percent: float
    memory_mb: float | None


class History:
    """Takes the counters of a run and makes a sample of them once a second."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=KEPT_S)
        self._at_s, self._cpu_s = time.monotonic(), time.process_time()
        self._frames, self._dropped = 0, 0

    @property
    def samples(self) -> list[Sample]:
        """The samples, oldest first."""
        return list(self._samples)

    @property
    def latest(self) -> Sample | None:
        """The last full second; None during the first."""
        return self._samples[-1] if self._samples else None

    def record(
        self, state: State, frames: int, dropped: int, latencies_s: deque[float]
    ) -> Sample | None:
        """Take the current counters.

        Args:
            frames, dropped: since the start of the run.
            latencies_s: of the last frames; those of the current second are taken.
        Returns:
            The sample, if a second has passed since the last one.
        """
        passed_s = time.monotonic() - self._at_s
        if passed_s < PERIOD_S:
            return None
        cpu_s, count = time.process_time(), frames - self._frames
        p50_ms, p95_ms = _percentiles_ms(list(latencies_s)[-count:] if count else [])
        last_s = self._samples[-1].time_s if self._samples else 0.0
        sample = Sample(
            time_s=max(time.time(), last_s + PERIOD_S),
            state=state,
            fps=count / passed_s,
            latency_p50_ms=p50_ms,
            latency_p95_ms=p95_ms,
            dropped=dropped - self._dropped,
            cpu_percent=100 * (cpu_s - self._cpu_s) / passed_s,
            memory_mb=memory_mb(),
        )
        self._samples.append(sample)
        self._at_s, self._cpu_s = time.monotonic(), cpu_s
        self._frames, self._dropped = frames, dropped
        return sample


def _percentiles_ms(seconds: list[float]) -> tuple[float | None, float | None]:
    """Return the median and the 95th percentile, in milliseconds."""
    if not seconds:
        return None, None
    if len(seconds) == 1:
        return 1e3 * seconds[0], 1e3 * seconds[0]
    twentieths = quantiles(seconds, n=20, method="inclusive")
    return 1e3 * twentieths[9], 1e3 * twentieths[18]


def memory_mb() -> float | None:
    """Return the process's resident memory, in MB; on macOS, its maximum so far."""
    if sys.platform == "linux":
        try:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):
            return None
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
