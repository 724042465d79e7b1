"""Opens the backend that runs a live run's network, on a device and at a step of the ladder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import groupby

from vidbg.config import MattingConfig
from vidbg.errors import VidbgError
from vidbg.matting.backends import CPU_DEVICES, Backend, load_first
from vidbg.matting.backends.alpha_checks import try_out
from vidbg.matting.backends.graphs import GraphBackend, GraphPlan, graph_backend
from vidbg.matting.backends.switchable import SwitchableBackend
from vidbg.matting.backends.tried import Refusals, no_backend
from vidbg.matting.engines import NetworkName
from vidbg.matting.ladder import Step
from vidbg.matting.preprocess import plan_geometry
from vidbg.pipeline.gpu.frame_inputs import frame_plan
from vidbg.pipeline.live.network.speeds import Speeds

logger = logging.getLogger(__name__)


class BackendOpener:
    """Opens backends for frames of one size.

    Args:
        config: of the run.
        frame_size: height and width, in pixels.
        steps: of the ladder, from the cheapest to the best.
        budget_s: time that the network may take for an image at the start, in seconds; None to
            start at the top.

    Attributes:
        config: the current one.
        refused: why devices could not be used, by device.
        size: height and width of the network's input at the top of the ladder.
    """

    def __init__(
        self,
        config: MattingConfig,
        frame_size: tuple[int, int],
        steps: Sequence[Step],
        budget_s: float | None,
    ) -> None:
        self.config, self._frame_size = config, frame_size
        self._steps, self._budget_s = steps, budget_s
        plan = plan_geometry(*frame_size, steps[-1].pixels)
        self.size = plan.height, plan.width
        self.refused: dict[str, str] = {}
        self._graph_failed = False

    @property
    def wants_graph(self) -> bool:
        """Whether the device is to do full frames."""
        return self.config.allows_full_frame and not self._graph_failed

    @property
    def graph_plan(self) -> GraphPlan:
        """The graph of full frames."""
        return frame_plan(*self._frame_size, self._steps[-1].pixels)

    def first(self, devices: list[str]) -> tuple[str, Backend]:
        """Load the initial network on the first of the devices that works.

        An Intel GPU comes after the CPU, and only asking for one loads 20 MB of its driver.
        """
        refusals: Refusals = []
        failure: VidbgError | None = None
        for on_cpu, group in groupby(devices, lambda name: name in CPU_DEVICES):
            try:
                return self._open(list(group), self._steps[0 if on_cpu else -1], refusals)
            except VidbgError as error:
                logger.info("no %s runs the network: %s", "CPU" if on_cpu else "GPU", error)
                failure = error  # names all refusals up to here
        raise failure or no_backend(refusals)

    def _open(self, devices: list[str], step: Step, refusals: Refusals) -> tuple[str, Backend]:
        """Load a step's network on the first of the devices that works, and record the refusals."""
        config = self.config
        plan = plan_geometry(*self._frame_size, step.pixels)

        def trial(backend: Backend) -> None:
            """Run the network on an empty image. A full frame's graph is tried later."""
            device = graph_backend(backend)
            whole = device is not None and self.wants_graph and device.graph_ready(self.graph_plan)
            if not whole and backend.ready(plan.height, plan.width):
                try_out(backend, plan.height, plan.width)

        try:
            return load_first(
                devices, config.precision, step.network, config.threads, trial, refusals
            )
        finally:
            self.refused.update((name, str(error)) for name, error in refusals)

    def at_start(self, device: str, backend: Backend) -> tuple[Backend, Step]:
        """Return the backend with the network of the initial step running, and that step.

        Raises:
            BackendError: the step's network cannot be opened.
        """
        top = self._steps[-1]
        if self._budget_s is None or device not in CPU_DEVICES or len(self._steps) == 1:
            return backend, top
        cheapest = self._steps[0]
        speeds = Speeds(device, backend.precision, self.config.threads)

        def load_other(network: NetworkName) -> Backend:
            """Load another network on the same device."""
            config, devices = self.config, [device]
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

    def build_graph(self, device: GraphBackend | None) -> bool:
        """Build the engine and return whether it exists. A failed build is not retried."""
        if device is None or not self.wants_graph:
            return False
        try:
            device.prepare_graph(self.graph_plan)
        except VidbgError as error:
            logger.warning("%s runs the network alone: %s", device.name, error)
            self._graph_failed = True
            return False
        return True
