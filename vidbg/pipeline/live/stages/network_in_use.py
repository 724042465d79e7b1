"""The network that the matting thread runs: loaded, timed, moved between levels, replaced."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from vidbg.errors import BackendError, VidbgError
from vidbg.frame import Alpha, Frame
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.gpu.full_frame import Composite
from vidbg.pipeline.live.appearance import Appearance
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.network.governor import Governor, Level
from vidbg.pipeline.live.network.network_loader import Networks
from vidbg.pipeline.live.stages import stage
from vidbg.pipeline.live.stages.live_full_frame import LiveFullFrame
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.pipeline.live.threads.backoff import Backoff
from vidbg.pipeline.live.threads.replaceable_thread import Deadline
from vidbg.util.lifecycle import Closeable

logger = logging.getLogger(__name__)

Made = TypeVar("Made")

LOAD_PATIENCE_S = 120.0
"""Building a TensorRT engine takes a minute on some machines."""

COMPILE_PATIENCE_S = 30.0
"""Wait for a background compilation when this thread ends: it cannot be interrupted."""

PART = "network"


class NetworkInUse(Closeable):
    """Computes alpha, or a full frame on the network's device; reloads after two failures in a row.

    Args:
        networks: loads the network.
        governor: keeps the frame rate up; it chooses the level.
        context: of the run.
        deadline: times each call that may hang.
    """

    def __init__(
        self, networks: Networks, governor: Governor, context: RunContext, deadline: Deadline
    ) -> None:
        self._networks, self._governor = networks, governor
        self._context, self._deadline = context, deadline
        self._network: VideoMatting | None = None
        self._applied = networks.matting_config
        self._full_frame = LiveFullFrame(context.info.height, context.info.width)
        self._allowed_s: dict[str, float] = {}
        # The level in use, and the one that has been compiled and comes next
        self._level = governor.level
        self._next_level: Level | None = None
        self._compiling = BackgroundTasks()
        # Recovery
        self._failures = 0
        self._retry_s = 0.0
        self._backoff = Backoff(0.1, 5.0)

    @property
    def waits(self) -> bool:
        """Whether the next attempt after a failure is not due yet."""
        return time.monotonic() < self._retry_s

    def warm_up(self) -> None:
        """Load the network, and compile it for frames of the output's size."""
        network = self.require()
        if not self._full_frame.takes(self._context.look):
            info = self._context.info
            black = np.zeros((info.height, info.width, 3), np.uint8)
            self._timed("network", lambda: network(black, 0.0))
            network.reset()

    def require(self) -> VideoMatting:
        """Return the network; load it if there is none, or a better one, and apply new settings.

        Outputs may have another size after this.

        Raises:
            VidbgError: no network can be loaded.
        """
        if self._network is not None and self._networks.better():
            self._drop()
        if self._network is None:
            with self._deadline.over(LOAD_PATIENCE_S):
                self._network = self._networks.load()
            self._full_frame.resize(self._context.info.height, self._context.info.width)
            with self._deadline.over(stage.FIRST_PATIENCE_S):
                self._full_frame.attach(self._network)
            self._network.clock = self._context.clock
            self._applied = self._networks.matting_config
            self._level = self._governor.reset(
                self._network.step,
                time.monotonic(),
                self._networks.levels,
                self._networks.cpu_limit,
            )
            self._next_level = None
            self._allowed_s.clear()
        if self._applied is not self._networks.matting_config:
            self._applied = self._networks.matting_config
            self._network.adjust(self._applied)
            with self._deadline.over(stage.FIRST_PATIENCE_S):
                self._full_frame.attach(self._network)
        return self._network

    def composite(self, frame: Frame, look: Appearance) -> Composite | None:
        """Composite a full frame on the network's device.

        Returns:
            None if device or look do not allow it, somebody looks at alpha, which the device keeps
            to itself, or the background failed: the CPU reports that.
        """
        if not self._full_frame.takes(look) or self._context.shows_alpha:
            return None
        with self._context.clock.stage("device"):
            return self._timed("device", lambda: self._full_frame.composite(frame, look))

    def alpha(self, frame: Frame, missed: int) -> Alpha:
        """Compute alpha at the level that the governor chose, and tell it how long that took.

        Args:
            missed: frames that were dropped since the one before it.
        Raises:
            BackendError: the device failed.
        """
        network = self._network
        if network is None:
            raise BackendError("no network has been loaded")
        # Another level takes effect once it has been compiled
        level, self._next_level = self._next_level, None
        if level is not None:
            network.use(level.step)
            self._level = level
            self._governor.restart(time.monotonic())
        # Some levels run the network on one frame of several, and move its alpha on the others
        start = time.monotonic()
        skips = frame.index % self._level.every > 0
        reused = network.reused
        alpha = self._timed(
            "network", lambda: network.shared_alpha(frame.image, frame.pts, propagates=skips)
        )
        worked = not skips and network.reused == reused
        # The governor may choose another level, which is compiled in the background. While it is,
        # the time that frames take says nothing about any level
        now = time.monotonic()
        changing = self._compiling.running or self._next_level is not None
        if not changing and self._governor.frame(now - start, missed, now, worked=worked):
            wanted = self._governor.level
            self._compiling.start("compile", lambda: self._compile(network, wanted))
        return alpha

    def reset(self) -> None:
        """Reset the temporal state of alpha."""
        self._full_frame.reset()
        if self._network is not None:
            self._network.reset()

    def worked(self) -> None:
        """Record that the network gave a result."""
        self._failures = 0
        self._backoff.worked()

    def failed(self, error: Exception) -> None:
        """Recover: reset after the first failure, replace the network after the second in a row."""
        self._context.faults.raised(PART, error)
        self._governor.restart(time.monotonic())
        self._failures += 1
        if self._network is not None and self._failures == 1:
            self.reset()
            return
        if self._full_frame.takes(self._context.look):
            self._full_frame.give_up(error)
            self._failures = 0
            return
        if self._network is not None:
            self._drop()
            self._networks.blame()
            self._failures = 0
        self._retry_s = time.monotonic() + self._backoff.next_s()

    def close(self) -> None:
        self._drop()
        self._compiling.close(COMPILE_PATIENCE_S)

    def _timed(self, what: str, work: Callable[[], Made]) -> Made:
        """Run a call that may hang, allowing more time on the first call."""
        start = time.monotonic()
        with self._deadline.over(self._allowed_s.get(what, stage.FIRST_PATIENCE_S)):
            made = work()
        taken_s = time.monotonic() - start
        self._allowed_s[what] = max(stage.PATIENCE_S, stage.SLOWNESS * taken_s)
        return made

    def _compile(self, network: VideoMatting, level: Level) -> None:
        """Compile for a level, then schedule the switch to it."""
        info = self._context.info
        try:
            network.prepare(info.height, info.width, level.step)
        except VidbgError as error:
            if network is self._network and not self._compiling.ending.is_set():
                logger.warning("the network stays as it is: %s", error)
            return
        if network is self._network:
            self._next_level = level

    def _drop(self) -> None:
        """Close the network. The next frame loads another."""
        self._full_frame.close()
        if self._network is not None:
            network, self._network = self._network, None
            network.close()
