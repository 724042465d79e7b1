"""Loads the network on the best device, or on the next while that one builds or fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, cast

from vidbg.config import MattingConfig
from vidbg.errors import VidbgError
from vidbg.matting.backends import CANDIDATES, Backend, check_choices
from vidbg.matting.backends.graphs import graph_backend
from vidbg.matting.ladder import Step, file_step, live_steps
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.live.network.backend_opener import BackendOpener
from vidbg.pipeline.live.network.governor import Level, levels_of
from vidbg.pipeline.live.network.speeds import network_budget_s, network_threads
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.util.choices import Device

logger = logging.getLogger(__name__)

FORGIVEN_S, MAX_FORGIVEN_S = 3.0, 300.0
"""Delay before a blamed device is retried in the background, and its maximum. The delay doubles
each time the device is blamed."""


class Networks(Protocol):
    """Loads and replaces the network of a live run.

    Attributes:
        levels: of the network loaded last, best first, which the governor may choose from.
        cpu_limit: share of the computer's CPU time, 0 to 1, that the governor keeps to.
        matting_config: current settings, whose smoothing, refinement and people act at once.
    """

    @property
    def levels(self) -> Sequence[Level]: ...

    @property
    def cpu_limit(self) -> float: ...

    @property
    def matting_config(self) -> MattingConfig: ...

    def load(self) -> VideoMatting:
        """Load a new matter.

        Raises:
            VidbgError: no network can be loaded.
        """
        ...

    def blame(self) -> None:
        """Report that the last loaded matter keeps failing or hangs."""
        ...

    def better(self) -> bool:
        """Return whether load() would now return a better matter. True only once."""
        ...

    def close(self, patience_s: float) -> None:
        """Stop loading and wait for running builds."""
        ...


def replace_details(config: MattingConfig, other: MattingConfig) -> MattingConfig:
    """Return a config with the settings of another that need no other network."""
    return replace(config, smoothing_s=other.smoothing_s, refine=other.refine, people=other.people)


class Blame:
    """Records which devices failed, how often, and until when to avoid them."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._until_s: dict[str, float] = {}

    def add(self, device: str) -> None:
        count = self._counts[device] = self._counts.get(device, 0) + 1
        wait_s = min(FORGIVEN_S * 2 ** (count - 1), MAX_FORGIVEN_S)
        self._until_s[device] = time.monotonic() + wait_s

    def holds(self, device: str) -> bool:
        """Return whether the device must not be tried now."""
        return time.monotonic() < self._until_s.get(device, 0.0)

    def ever(self, device: str) -> bool:
        """Return whether the device has ever been blamed."""
        return device in self._counts

    def mildest_first(self) -> list[str]:
        """List all blamed devices, the least often blamed first."""
        return sorted(self._counts, key=lambda name: (self._counts[name], _RANK[name]))


_RANK = {name: rank for rank, name in enumerate(CANDIDATES)}


class DeviceNetworks:
    """Loads networks on the devices of a config: each in turn with "auto", else the named one.

    If the best device has to build an engine first, "auto" takes the next while it builds. While
    the engine of the full frame is built, the device runs the network alone. A device that was
    blamed is retried after a while in the background and replaces the current one if it works.
    If every usable device was blamed, the one blamed least often is used.

    Args:
        height, width: of the frames.
        announce: called with the device that runs the network each time it is loaded.
        rate: target frames per second: on a CPU the run begins at the ladder step that this machine
            is known to sustain. None: the step for files.
        cpu_limit: share of the computer's CPU time, 0 to 1, that the run may use.
    Attributes:
        threads: of the network; None for as many as there are cores.
        loaded: the backend in use; None before the first.
    Raises:
        ConfigError: unknown device or precision.
    """

    def __init__(
        self,
        config: MattingConfig,
        height: int,
        width: int,
        announce: Callable[[str], None] = lambda _: None,
        *,
        rate: float | None = None,
        cpu_limit: float = 1.0,
    ) -> None:
        check_choices(config.device, config.precision)
        self.threads, self.cpu_limit = network_threads(config.threads, cpu_limit), cpu_limit
        config, self._announce = replace(config, threads=self.threads), announce
        # The ladder of networks and sizes, and the levels that the governor moves on
        frame_size, budget_s = (height, width), None
        if rate is None:
            steps: Sequence[Step] = (file_step(config),)
            self.levels = [Level(steps[0])]
        else:
            steps = live_steps(config, frame_size)
            self.levels = levels_of(steps, frame_size)
            budget_s = network_budget_s(config.quality, rate, cpu_limit, self.threads)
        self._opener = BackendOpener(config, frame_size, steps, budget_s)
        # What has been loaded, and which devices have failed
        self._auto = config.device == "auto"
        self.loaded: Backend | None = None
        self._blame = Blame()
        self._left_out: set[str] = set()
        self._device: str = config.device
        # A backend is built beside the run, in a thread
        self._built = threading.Event()
        self._spare: tuple[str, Backend] | None = None
        self._lock = threading.Lock()
        self._helpers = BackgroundTasks()

    @property
    def matting_config(self) -> MattingConfig:
        return self._opener.config

    @property
    def refused(self) -> dict[str, str]:
        """Why devices could not be used, by device."""
        return self._opener.refused

    def adjust(self, config: MattingConfig) -> None:
        """Take smoothing, refinement and people from another config."""
        self._opener.config = replace_details(self._opener.config, config)

    def load(self) -> VideoMatting:
        spare = self._taken_spare()
        if spare is not None:
            self._device, backend = spare
        elif not self._auto:
            self._device, backend = self._opener.first([self._device])
        else:
            self._device, backend = self._best()
        if self._auto and not backend.ready(*self._opener.size):
            backend = self._meanwhile(backend)
        else:
            self._build_in_background(backend)
        backend, step = self._opener.at_start(self._device, backend)
        self.loaded = backend
        self.refused.pop(self._device, None)
        self._announce(f"{backend.name}, {backend.precision}, {step}")
        config = replace(
            self._opener.config,
            device=cast(Device, self._device),
            network=step.network,
            network_pixels=step.pixels,
        )
        return VideoMatting(config=config, backend=backend)

    def _best(self) -> tuple[str, Backend]:
        """Load on the first device not blamed now, or else on the least often blamed."""
        blamed = [name for name in self._blame.mildest_first() if self._blame.holds(name)]
        left = [name for name in self._allowed() if name not in blamed]
        try:
            return self._opener.first(left)
        except VidbgError as error:
            if not blamed:
                raise
            logger.info("nothing else runs the network: %s", error)
        return self._opener.first(blamed)

    def _allowed(self) -> list[str]:
        return [name for name in CANDIDATES if name not in self._left_out]

    def _meanwhile(self, best: Backend) -> Backend:
        """Return another device's backend while the best builds, or the best if it is alone."""
        rank = _RANK[self._device]
        after = [name for name in self._allowed() if _RANK[name] > rank]
        try:
            device, backend = self._opener.first(
                [name for name in after if not self._blame.holds(name)]
            )
        except VidbgError as error:
            logger.info("nothing else runs the network while it is built: %s", error)
            return best
        building, self._device = self._device, device
        self._helpers.start("build", lambda: self._build(building, best))
        return backend

    def _build(self, device: str, best: Backend) -> None:
        self._announce(f"{best.name} is being built, once for this size")
        try:
            best.prepare(*self._opener.size)
            if not self._helpers.ending.is_set():
                self._opener.build_graph(graph_backend(best))
        except VidbgError as error:
            logger.warning("%s cannot be built and is left out: %s", best.name, error)
            self._left_out.add(device)
        else:
            self._built.set()
        finally:
            best.close()

    def _build_in_background(self, backend: Backend) -> None:
        """Build the full frame's engine while the network's engine is in use."""
        device = graph_backend(backend)
        if (
            device is None
            or not self._opener.wants_graph
            or device.graph_ready(self._opener.graph_plan)
        ):
            return

        def build() -> None:
            if self._opener.build_graph(device):
                self._built.set()

        self._helpers.start("build", build)

    def better(self) -> bool:
        if self._built.is_set():
            self._built.clear()
            return True
        if self._auto and self._spare is None and not self._helpers.running:
            # Devices that were blamed a while ago are tried while the current one stays in use
            rank, blame = _RANK[self._device], self._blame
            before = [name for name in self._allowed() if _RANK[name] < rank]
            again = [name for name in before if blame.ever(name) and not blame.holds(name)]
            if again:
                self._helpers.start("retry", lambda: self._retry(again))
        return self._spare is not None

    def _retry(self, devices: list[str]) -> None:
        try:
            device, backend = self._opener.first(devices)
        except VidbgError as error:
            logger.info("not yet: %s", error)
            for name in devices:
                self._blame.add(name)
            return
        with self._lock:
            wanted = backend.ready(*self._opener.size) and not self._helpers.ending.is_set()
            if wanted:
                self._spare = device, backend
        if not wanted:
            self._blame.add(device)
            backend.close()

    def _taken_spare(self) -> tuple[str, Backend] | None:
        with self._lock:
            spare, self._spare = self._spare, None
        return spare

    def blame(self) -> None:
        if not self._auto:
            return
        self._blame.add(self._device)
        logger.warning("the device %s keeps failing; the next is tried", self._device)

    def close(self, patience_s: float) -> None:
        self._helpers.close(patience_s)
        spare = self._taken_spare()
        if spare is not None:
            spare[1].close()
