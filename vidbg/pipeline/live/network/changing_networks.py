"""Networks whose settings change during a run, without a gap in the output."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from vidbg.config import MattingConfig
from vidbg.frame import StreamInfo
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.network.governor import Level
from vidbg.pipeline.live.network.network_loader import (
    DeviceNetworks,
    network_threads,
    replace_details,
)
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks

logger = logging.getLogger(__name__)

PART = "network settings"

MakeNetworks = Callable[[MattingConfig, bool, StreamInfo], DeviceNetworks]
"""Makes networks for a config and frames of a size and rate; the flag says whether they adapt to
the machine's speed."""

PrepareResize = Callable[[StreamInfo], Callable[[], None]]
"""See OutputGate.prepare_resize."""


class ChangingNetworks:
    """Loads the network of other settings beside the current one, which runs until that is ready.

    Implements Networks. A network that cannot be loaded is a fault, and the current one stays.

    Args:
        make: makes the networks of a config.
        config: the first settings.
        adapt: whether the governor may lower the network's size.
        context: of the run.
    Attributes:
        matting_config: what was asked for last.
        adapt, info: the same.
        prepare_resize: changes the outputs' size when a network for it has been loaded.
        resized: called after that, or where no network can be loaded.
    """

    def __init__(
        self, make: MakeNetworks, config: MattingConfig, adapt: bool, context: RunContext
    ) -> None:
        self._make, self._context = make, context
        self.matting_config, self.adapt = config, adapt
        self.info = context.info
        self.prepare_resize: PrepareResize = lambda _: lambda: None
        self.resized: Callable[[], None] = lambda: None
        self._current = make(config, adapt, context.info)
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
    def current(self) -> DeviceNetworks:
        """The networks in use."""
        return self._current

    def limit_cpu(self, share: float) -> None:
        """Keep to another share of the computer's CPU time, 0 to 1.

        `change` then loads a network with another number of threads if the share needs one.
        """
        self._current.cpu_limit = share

    def replace_unused(self, info: StreamInfo) -> None:
        """Make networks for frames of another size, before any has been loaded."""
        self.info = info
        self._current = self._make(self.matting_config, self.adapt, info)

    def change(self, config: MattingConfig, adapt: bool, info: StreamInfo) -> None:
        """Take other settings. Returns at once.

        Smoothing, refinement and people act on the next frame, as they need no other network.
        """
        with self._lock:
            before, self.matting_config = self.matting_config, config
            needs_network = (replace_details(before, config), self.adapt) != (config, adapt)
            needs_network = needs_network or _size(self.info) != _size(info)
            threads = network_threads(config.threads, self.cpu_limit)
            needs_network = needs_network or threads != self._current.threads
            self.adapt, self.info = adapt, info
            self._current.adjust(config)
            if not needs_network:
                return
            self._request += 1
            if not self._loading:  # else what loads now begins again
                self._loading = True
                self._tasks.start("network-change", self._load_in_background)

    def _load_in_background(self) -> None:
        """Load the network of the newest settings, one at a time, until they no longer change."""
        while True:
            with self._lock:
                request, config, adapt = self._request, self.matting_config, self.adapt
                info = self.info
            self._load_one(config, adapt, info, request)
            self.resized()
            with self._lock:
                if request == self._request or self._tasks.ending.is_set():
                    self._loading = False
                    return

    def _load_one(self, config: MattingConfig, adapt: bool, info: StreamInfo, request: int) -> None:
        """Load and compile a network, and offer it if its settings are still wanted."""
        networks = None
        try:
            networks = self._make(config, adapt, info)
            loaded = networks, networks.load()
            loaded[1](np.zeros((info.height, info.width, 3), np.uint8), 0.0)  # compiles
            loaded[1].reset()
            other_size = _size(info) != _size(self._context.info)
            resize = None
            if other_size:  # the rate has changed already
                rate = self._context.info.frame_rate
                resize = self.prepare_resize(replace(info, frame_rate=rate))
        except Exception as error:
            if networks is not None:
                networks.close(0.0)
            if request == self._request and not self._tasks.ending.is_set():
                kept = f"{error}; the network stays as it was"
                self._context.faults.raised(PART, kept)
                self.info = self._context.info
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
                self._current.adjust(self.matting_config)
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


def _size(info: StreamInfo) -> tuple[int, int]:
    return info.width, info.height
