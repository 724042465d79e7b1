"""Loads the network: on the best device, or the next while that one is built or fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from vidbg.config import MattingConfig
from vidbg.errors import VidbgError
from vidbg.matting.backends import CANDIDATES, Backend, check_choices, load_first
from vidbg.matting.backends.graphs import GraphBackend, GraphPlan, graph_backend
from vidbg.matting.matter import Matter
from vidbg.matting.preprocess import plan_geometry
from vidbg.pipeline.frame_inputs import frame_plan

logger = logging.getLogger(__name__)


class Networks(Protocol):
    """Where a live run gets its network from."""

    def load(self) -> Matter:
        """A new matter.

        Raises:
            VidbgError: there is none to be had.
        """
        ...

    def blame(self) -> None:
        """The matter loaded last keeps failing or hangs."""
        ...

    def better(self) -> bool:
        """Whether load() would give a better one than it did; True once."""
        ...


class DeviceNetworks:
    """The devices of a config: with "auto" one after the other, else the one that is named.

    Where the best device has to build an engine first, "auto" takes the next while it builds. While
    the engine of the whole frame is built, the device runs the network alone.

    Args:
        height, width: of the frames.
        announce: is told what runs the network each time that it is loaded.
    Raises:
        ConfigError: a device or precision that is not known.
    """

    def __init__(
        self,
        config: MattingConfig,
        height: int,
        width: int,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        check_choices(config.device, config.precision)
        self._config, self._announce = config, announce
        plan = plan_geometry(height, width, config.network_pixels)
        self._size = plan.height, plan.width
        self._frame_size = height, width
        self._wants_graph = config.fits_whole_frame
        self._auto = config.device == "auto"
        self._blamed: list[str] = []
        self._device = config.device
        self._built = threading.Event()

    def load(self) -> Matter:
        left = [name for name in CANDIDATES if name not in self._blamed]
        self._device, backend = self._first(left if self._auto else [self._config.device])
        if self._auto and not backend.ready(*self._size):
            backend = self._meanwhile(backend, left[left.index(self._device) + 1 :])
        else:
            self._build_beside(backend)
        self._announce(f"{backend.name}, {backend.precision}")
        return Matter(config=replace(self._config, device=self._device), backend=backend)

    def _first(self, devices: list[str]) -> tuple[str, Backend]:
        return load_first(devices, self._config.precision, "resnet50", self._config.threads)

    def _meanwhile(self, best: Backend, others: list[str]) -> Backend:
        """Another device's backend while the best one builds; that itself where there is none."""
        try:
            device, backend = self._first(others)
        except VidbgError as error:
            logger.info("nothing else runs the network while it is built: %s", error)
            return best
        builder = threading.Thread(
            target=self._build, args=(self._device, best), name="vidbg-build", daemon=True
        )
        self._device = device
        builder.start()
        return backend

    def _build(self, device: str, best: Backend) -> None:
        self._announce(f"{best.name} is being built, once for this size")
        try:
            best.prepare(*self._size)
            self._build_graph(graph_backend(best))
        except VidbgError as error:
            logger.warning("%s cannot be built and is left out: %s", best.name, error)
            self._blamed.append(device)
        else:
            self._built.set()
        finally:
            best.close()

    def _build_beside(self, backend: Backend) -> None:
        """Build the whole frame's engine while the network's serves."""
        device = graph_backend(backend)
        if device is None or not self._wants_graph or device.graph_ready(self._graph()):
            return

        def build() -> None:
            if self._build_graph(device):
                self._built.set()

        threading.Thread(target=build, name="vidbg-build", daemon=True).start()

    def _build_graph(self, device: GraphBackend | None) -> bool:
        """Whether the engine is there now; where it cannot be built, it is not tried again."""
        if device is None or not self._wants_graph:
            return False
        try:
            device.prepare_graph(self._graph())
        except VidbgError as error:
            logger.warning("%s runs the network alone: %s", device.name, error)
            self._wants_graph = False
            return False
        return True

    def _graph(self) -> GraphPlan:
        return frame_plan(*self._frame_size, self._config.network_pixels)

    def better(self) -> bool:
        if not self._built.is_set():
            return False
        self._built.clear()
        return True

    def blame(self) -> None:
        if not self._auto:
            return
        self._blamed.append(self._device)
        logger.warning("the device %s keeps failing; the next is tried", self._device)
        if len(self._blamed) == len(CANDIDATES):  # all have failed once: begin again
            self._blamed.clear()
