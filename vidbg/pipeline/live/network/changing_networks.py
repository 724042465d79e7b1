"""Networks whose settings change during a run, without a gap in the output."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vidbg.config import MattingConfig
from vidbg.frame import StreamInfo
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.network.governor import Level
from vidbg.pipeline.live.network.network_loader import DeviceNetworks, replace_details
from vidbg.pipeline.live.network.speeds import network_threads
from vidbg.pipeline.live.outputs.output_gate import OutputGate
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks

logger = logging.getLogger(__name__)

PART = "network settings"


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """What the network of a run is loaded for.

    Attributes:
        matting: device, precision, network and smoothing.
        adapt: whether the governor may lower the network's size.
        cpu_limit: share of the computer's CPU time, 0 to 1, that the run may use.
        info: size and rate of the frames.
    """

    matting: MattingConfig
    adapt: bool
    cpu_limit: float
    info: StreamInfo

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        return self.info.width, self.info.height

    @property
    def threads(self) -> int | None:
        """Threads of the network; None for as many as there are cores."""
        return network_threads(self.matting.threads, self.cpu_limit)

    def need_other_network(self, before: NetworkSettings) -> bool:
        """Return whether the network of the settings before does not do."""
        alike = replace_details(before.matting, self.matting) == self.matting
        others = before.adapt, before.size, before.threads
        return not alike or others != (self.adapt, self.size, self.threads)


class ChangingNetworks:
    """Loads the network of other settings beside the current one, which runs until that is ready.

    Implements Networks. A network that cannot be loaded is a fault, and the current one stays.

    Args:
        settings: the first ones.
        gate: changes the outputs' size when a network for it has been loaded.
        context: of the run.
        announce: called with the device that runs the network each time one is loaded.
        resized: called when the outputs have another size, or cannot have the one asked for.
    Attributes:
        settings: what was asked for last, with the size of the outputs where no network could be
            loaded for another.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        gate: OutputGate,
        context: RunContext,
        announce: Callable[[str], None],
        resized: Callable[[], None],
    ) -> None:
        self.settings, self._gate, self._context = settings, gate, context
        self._announce, self._resized = announce, resized
        self._current = self._make(settings)
        self._ready: tuple[DeviceNetworks, VideoMatting] | None = None
        self._request, self._loading = 0, False
        self._lock = threading.Lock()
        self._tasks = BackgroundTasks()

    @property
    def levels(self) -> Sequence[Level]:
        return self._current.levels

    @property
    def cpu_limit(self) -> float:
        return self._current.cpu_limit

    @property
    def matting_config(self) -> MattingConfig:
        return self.settings.matting

    @property
    def current(self) -> DeviceNetworks:
        """The networks in use."""
        return self._current

    def replace_unused(self, settings: NetworkSettings) -> None:
        """Make networks for other settings, before any has been loaded."""
        self.settings = settings
        self._current = self._make(settings)

    def change(self, settings: NetworkSettings) -> None:
        """Take other settings. Returns at once.

        Smoothing, refinement and people act on the next frame, as they need no other network; a
        CPU limit needs one if the number of threads depends on it.
        """
        with self._lock:
            before, self.settings = self.settings, settings
            self._current.adjust(settings.matting)
            self._current.cpu_limit = settings.cpu_limit
            if not settings.need_other_network(before):
                return
            self._request += 1
            if not self._loading:  # else what loads now begins again
                self._loading = True
                self._tasks.start("network-change", self._load_in_background)

    def _make(self, settings: NetworkSettings) -> DeviceNetworks:
        info = settings.info
        return DeviceNetworks(
            settings.matting,
            info.height,
            info.width,
            self._announce,
            rate=float(info.frame_rate or 30) if settings.adapt else None,
            cpu_limit=settings.cpu_limit,
        )

    def _load_in_background(self) -> None:
        """Load the network of the newest settings, one at a time, until they no longer change."""
        while True:
            with self._lock:
                request, settings = self._request, self.settings
            self._load_one(settings, request)
            self._resized()
            with self._lock:
                if request == self._request or self._tasks.ending.is_set():
                    self._loading = False
                    return

    def _load_one(self, settings: NetworkSettings, request: int) -> None:
        """Load and compile a network, and offer it if its settings are still wanted."""
        info, networks, resize = settings.info, None, None
        try:
            networks = self._make(settings)
            loaded = networks, networks.load()
            loaded[1](np.zeros((info.height, info.width, 3), np.uint8), 0.0)  # compiles
            loaded[1].reset()
            shown = self._context.info
            if settings.size != (shown.width, shown.height):  # the rate has changed already
                resize = self._gate.prepare_resize(replace(info, frame_rate=shown.frame_rate))
        except Exception as error:
            if networks is not None:
                networks.close(0.0)
            with self._lock:
                wanted = request == self._request and not self._tasks.ending.is_set()
                if wanted:
                    self.settings = replace(self.settings, info=self._context.info)
            if wanted:
                kept = f"{error}; the network stays as it was"
                self._context.faults.raised(PART, kept)
            return
        with self._lock:
            wanted = request == self._request and not self._tasks.ending.is_set()
            late, self._ready = (self._ready, loaded) if wanted else (loaded, self._ready)
            if wanted and resize is not None:  # with the lock that `load` takes: both or none
                resize()
        if wanted:
            self._context.faults.cleared(PART)
        if late is not None:
            late[1].close()
            late[0].close(0.0)

    # --- Networks ---

    def load(self) -> VideoMatting:
        with self._lock:
            ready, self._ready = self._ready, None
            if ready is None:
                current = self._current
            else:
                before, self._current = self._current, ready[0]
                self._current.adjust(self.settings.matting)
                self._current.cpu_limit = self.settings.cpu_limit
        if ready is None:
            return current.load()
        self._tasks.start("network-close", lambda: before.close(0.0))
        return ready[1]

    def better(self) -> bool:
        return self._ready is not None or self._current.better()

    def blame(self) -> None:
        self._current.blame()

    def close(self, patience_s: float) -> None:
        self._tasks.close(patience_s)
        self._current.close(patience_s)
        with self._lock:
            ready, self._ready = self._ready, None
        if ready is not None:
            ready[1].close()
            ready[0].close(0.0)
