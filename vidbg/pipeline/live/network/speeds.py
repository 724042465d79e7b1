"""Network timings of this machine, kept between runs."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vidbg.matting.backends import Backend
from vidbg.matting.backends.alpha_checks import try_out
from vidbg.matting.ladder import Step
from vidbg.platform.folders import cache_folder
from vidbg.platform.processor import processor_features, processor_name, usable_cores
from vidbg.util.atomic_file import replace_file
from vidbg.util.choices import Quality

logger = logging.getLogger(__name__)

SHARES: dict[Quality, float] = {"fast": 0.3, "balanced": 0.55, "best": 0.75}
"""Share of the frame interval that the network may take at the start, by quality. The rest is for
the other stages and for other programs."""

REST_CORES = 0.25
"""Cores that the work around the network keeps busy at 30 frames of 720p a second."""

TRIALS = 4
KEPT = 32
"""Maximum number of entries in the file. The oldest are removed first."""


def network_budget_s(quality: Quality, rate: float, cpu_limit: float, threads: int | None) -> float:
    """Return the time that the network may take for an image at the start of a run.

    Args:
        rate: frames per second.
        cpu_limit: share of the computer's CPU time, 0 to 1, that the run may use.
        threads: of the network; None for as many as there are cores.
    """
    cores = usable_cores()
    network_cores = cores * cpu_limit - REST_CORES * rate / 30
    share = network_cores / min(threads or cores, cores)
    return min(SHARES[quality], max(share, 0.0)) / rate


def network_threads(threads: int | None, cpu_limit: float) -> int | None:
    """Return how many threads the network gets; None for as many as there are cores.

    A run that may use less than a core needs one: a second wakes and waits for 1 ms of CPU time a
    frame (of 9.8 ms for the light network at 86016 pixels on two cores).

    Args:
        threads: what was asked for; None for no wish.
        cpu_limit: share of the computer's CPU time, 0 to 1, that the run may use.
    """
    return 1 if threads is None and cpu_limit * usable_cores() < 1 else threads


class Speeds:
    """The network's time per image for each ladder step, on one device of this machine.

    The file is shared with other runs and may be lost at any time: times that cannot be read are
    unknown, times that cannot be written are measured again.

    Args:
        device: one of `vidbg.matting.backends.Device`.
        precision: of the computation.
        threads: of the network; None for the library's choice.
        path: the file; None for the one in the cache folder.
    """

    def __init__(
        self, device: str, precision: str, threads: int | None, path: Path | None = None
    ) -> None:
        self._path = path or cache_folder() / "network-times.json"
        features = " ".join(processor_features() or ())
        machine = (
            processor_name(),
            features,
            f"{usable_cores()} cores",
            f"{threads or 'all'} threads",
        )
        try:
            library = f"OpenVINO {version('openvino')}"
        except PackageNotFoundError:
            library = "no OpenVINO"
        self._machine = ", ".join((*machine, device, precision, library))
        self._times_s = self._read_speeds().get(self._machine, {})

    def get(self, step: Step) -> float | None:
        """Return the seconds per image at this step, or None if unknown."""
        return self._times_s.get(str(step))

    def measure(self, step: Step, backend: Backend, height: int, width: int) -> None:
        """Time a step on an empty image and keep the fastest measurement.

        Args:
            backend: with the step's network running.
            height, width: of the network's input.
        Raises:
            BackendError: the device failed.
        """
        try_out(backend, height, width)  # the first one compiles
        taken_s = min(try_out(backend, height, width) for _ in range(TRIALS))
        self._times_s[str(step)] = min(taken_s, self._times_s.get(str(step), taken_s))
        others = {
            name: times for name, times in self._read_speeds().items() if name != self._machine
        }
        kept = dict([*others.items(), (self._machine, self._times_s)][-KEPT:])
        try:
            replace_file(self._path, json.dumps(kept, indent=1).encode())
        except OSError as error:
            logger.info("cannot keep the network's times in %s: %s", self._path, error)

    def best(self, steps: Sequence[Step], budget_s: float) -> Step:
        """Return the best step within the budget, or the cheapest if none is known to fit.

        Args:
            steps: from the cheapest to the best.
            budget_s: per image, in seconds.
        """
        known = [(step, time_s) for step in steps if (time_s := self.get(step)) is not None]
        fitting = [s for s in steps if known and _expected_s(s, known) <= budget_s]
        return fitting[-1] if fitting else steps[0]

    def _read_speeds(self) -> dict[str, dict[str, float]]:
        try:
            entries = json.loads(self._path.read_text(encoding="utf-8"))
            return {
                str(machine): {str(step): float(seconds) for step, seconds in times.items()}
                for machine, times in entries.items()
            }
        except (OSError, ValueError, AttributeError, TypeError):
            return {}


def _expected_s(step: Step, known: Sequence[tuple[Step, float]]) -> float:
    """Estimate a step's time from the known step nearest in cost, if possible of its network."""
    same = [pair for pair in known if pair[0].network == step.network] or known
    nearest, seconds = min(same, key=lambda pair: abs(pair[0].cost - step.cost))
    return seconds * step.cost / nearest.cost
