"""Loads the network on the best device, or on the next while that one builds or fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Protocol, cast

from vidbg.config import MattingConfig
from vidbg.errors import VidbgError
from vidbg.matting.backends import CANDIDATES, CPU_DEVICES, Backend, check_choices, load_first
from vidbg.matting.backends.alpha_checks import try_out
from vidbg.matting.backends.graphs import GraphBackend, GraphPlan, graph_backend
from vidbg.matting.backends.switchable import SwitchableBackend
from vidbg.matting.backends.tried import Refusals, no_backend
from vidbg.matting.engines import NetworkName
from vidbg.matting.ladder import Step, file_step, live_steps
from vidbg.matting.preprocess import plan_geometry
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.gpu.frame_inputs import frame_plan
from vidbg.pipeline.live.network.governor import Level, levels_of
from vidbg.pipeline.live.network.speeds import Speeds, network_budget_s
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.platform.processor import usable_cores
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


def network_threads(threads: int | None, cpu_limit: float) -> int | None:
    """Return how many threads the network gets; None for as many as there are cores.

    A run that may use less than a core needs one: a second wakes and waits for 1 ms of CPU time a
    frame (of 9.8 ms for the light network at 86016 pixels on two cores).

    Args:
        threads: what was asked for; None for no wish.
        cpu_limit: share of the computer's CPU time, 0 to 1, that the run may use.
    """
    return 1 if threads is None and cpu_limit * usable_cores() < 1 else threads


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
        refused: why devices could not be used, by device.
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
        self.threads = network_threads(config.threads, cpu_limit)
        self._config, self._announce = replace(config, threads=self.threads), announce
        self._frame_size = height, width
        # The ladder of networks and sizes, and the levels that the governor moves on
        self._steps = (
            live_steps(config, self._frame_size) if rate is not None else (file_step(config),)
        )
        self.cpu_limit = cpu_limit
        self.levels = (
            [Level(self._steps[0])] if rate is None else levels_of(self._steps, self._frame_size)
        )
        self._budget_s = None
        if rate is not None:
            self._budget_s = network_budget_s(config.quality, rate, cpu_limit, self.threads)
        plan = plan_geometry(height, width, self._steps[-1].pixels)
        self._size = plan.height, plan.width
        # What has been loaded, and which devices have failed
        self._graph_failed = False
        self._auto = config.device == "auto"
        self.refused: dict[str, str] = {}
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
        return self._config

    def adjust(self, config: MattingConfig) -> None:
        """Take smoothing, refinement and people from another config."""
        self._config = replace_details(self._config, config)

    @property
    def _wants_graph(self) -> bool:
        """Whether the device is to do full frames."""
        return self._config.allows_full_frame and not self._graph_failed

    def load(self) -> VideoMatting:
        spare = self._taken_spare()
        if spare is not None:
            self._device, backend = spare
        elif not self._auto:
            self._device, backend = self._first([self._config.device])
        else:
            self._device, backend = self._best()
        if self._auto and not backend.ready(*self._size):
            backend = self._meanwhile(backend)
        else:
            self._build_in_background(backend)
        backend, step = self._at_start(backend)
        self.loaded = backend
        self.refused.pop(self._device, None)
        self._announce(f"{backend.name}, {backend.precision}, {step}")
        config = replace(
            self._config,
            device=cast(Device, self._device),
            network=step.network,
            network_pixels=step.pixels,
        )
        return VideoMatting(config=config, backend=backend)

    def _at_start(self, backend: Backend) -> tuple[Backend, Step]:
        """Return the backend with the network of the initial step running, and that step.

        Raises:
            BackendError: the step's network cannot be opened.
        """
        top = self._steps[-1]
        if self._budget_s is None or self._device not in CPU_DEVICES or len(self._steps) == 1:
            return backend, top
        cheapest = self._steps[0]
        speeds = Speeds(self._device, backend.precision, self._config.threads)

        def load_other(network: NetworkName) -> Backend:
            """Load another network on the same device."""
            config, devices = self._config, [self._device]
            return load_first(devices, config.precision, network, config.threads, lambda _: None)[1]

        switchable = SwitchableBackend(cheapest.network, backend, load_other)
        step, tried = speeds.best(self._steps, self._budget_s), set[Step]()
        while step not in tried:  # known times may have been measured on a busy computer
            plan = plan_geometry(*self._frame_size, step.pixels)
            switchable.prepare_network(step.network, plan.height, plan.width)
            switchable.use(step.network)
            speeds.measure(step, switchable, plan.height, plan.width)
            tried.add(step)
            step = speeds.best(self._steps, self._budget_s)
        switchable.use(step.network)
        return switchable, step

    def _best(self) -> tuple[str, Backend]:
        """Load on the first device not blamed now, or else on the least often blamed."""
        blamed = [name for name in self._blame.mildest_first() if self._blame.holds(name)]
        left = [name for name in self._allowed() if name not in blamed]
        try:
            return self._first(left)
        except VidbgError as error:
            if not blamed:
                raise
            logger.info("nothing else runs the network: %s", error)
        return self._first(blamed)

    def _allowed(self) -> list[str]:
        return [name for name in CANDIDATES if name not in self._left_out]

    def _first(self, devices: list[str]) -> tuple[str, Backend]:
        """Load the initial network on the first of the devices that works.

        An Intel GPU comes after the CPU, and only asking for one loads 20 MB of its driver.
        """
        refusals: Refusals = []
        failure: VidbgError | None = None
        for on_cpu, group in groupby(devices, lambda name: name in CPU_DEVICES):
            try:
                return self._open_backend(list(group), self._steps[0 if on_cpu else -1], refusals)
            except VidbgError as error:
                logger.info("no %s runs the network: %s", "CPU" if on_cpu else "GPU", error)
                failure = error  # names all refusals up to here
        raise failure or no_backend(refusals)

    def _open_backend(
        self, devices: list[str], step: Step, refusals: Refusals
    ) -> tuple[str, Backend]:
        """Load a step's network on the first of the devices that works, and record the refusals."""
        config = self._config
        plan = plan_geometry(*self._frame_size, step.pixels)

        def trial(backend: Backend) -> None:
            """Run the network on an empty image. A full frame's graph is tried later."""
            device = graph_backend(backend)
            whole = device is not None and self._wants_graph and device.graph_ready(self._graph())
            if not whole and backend.ready(plan.height, plan.width):
                try_out(backend, plan.height, plan.width)

        try:
            return load_first(
                devices, config.precision, step.network, config.threads, trial, refusals
            )
        finally:
            self.refused.update((name, str(error)) for name, error in refusals)

    def _meanwhile(self, best: Backend) -> Backend:
        """Return another device's backend while the best builds, or the best if it is alone."""
        rank = _RANK[self._device]
        after = [name for name in self._allowed() if _RANK[name] > rank]
        try:
            device, backend = self._first([name for name in after if not self._blame.holds(name)])
        except VidbgError as error:
            logger.info("nothing else runs the network while it is built: %s", error)
            return best
        building, self._device = self._device, device
        self._helpers.start("build", lambda: self._build(building, best))
        return backend

    def _build(self, device: str, best: Backend) -> None:
        self._announce(f"{best.name} is being built, once for this size")
        try:
            best.prepare(*self._size)
            if not self._helpers.ending.is_set():
                self._build_graph(graph_backend(best))
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
        if device is None or not self._wants_graph or device.graph_ready(self._graph()):
            return

        def build() -> None:
            if self._build_graph(device):
                self._built.set()

        self._helpers.start("build", build)

    def _build_graph(self, device: GraphBackend | None) -> bool:
        """Build the engine and return whether it exists. A failed build is not retried."""
        if device is None or not self._wants_graph:
            return False
        try:
            device.prepare_graph(self._graph())
        except VidbgError as error:
            logger.warning("%s runs the network alone: %s", device.name, error)
            self._graph_failed = True
            return False
        return True

    def _graph(self) -> GraphPlan:
        return frame_plan(*self._frame_size, self._steps[-1].pixels)

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
            device, backend = self._first(devices)
        except VidbgError as error:
            logger.info("not yet: %s", error)
            for name in devices:
                self._blame.add(name)
            return
        with self._lock:
            wanted = backend.ready(*self._size) and not self._helpers.ending.is_set()
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
