"""First stage of the live pipeline: mattes a frame, or composites it fully on the device."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import cv2
import numpy as np

from vidbg.compositing.scaling import letterbox
from vidbg.errors import VidbgError
from vidbg.frame import Alpha, Frame
from vidbg.matting.video_matting import VideoMatting
from vidbg.picture.framing import Framing, rotate
from vidbg.pipeline.live.appearance import Appearance, Arrived, Composited, Matted
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.network.governor import Governor, Level
from vidbg.pipeline.live.network.network_loader import Networks
from vidbg.pipeline.live.outputs.pacing import Backoff
from vidbg.pipeline.live.stages import stage
from vidbg.pipeline.live.stages.live_full_frame import LiveFullFrame
from vidbg.pipeline.live.stages.stage import StageWorker
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.pipeline.live.threads.replaceable_thread import Deadline

logger = logging.getLogger(__name__)

Made = TypeVar("Made")

LOAD_PATIENCE_S = 120.0
"""Building a TensorRT engine takes a minute on some machines."""

COMPILE_PATIENCE_S = 30.0
"""Wait for a background compilation when this thread ends: it cannot be interrupted."""

WHOLE = 0.99
"""A matte with a larger person share than this shows the room."""

PART = "network"


class MattingWorker(StageWorker[Arrived, Matted | Composited]):
    """Mattes frames, on the device with compositing if possible; reloads after two failures.

    Frames of another size than the output's are fitted into it first, with bars that are background
    to the network.

    Args:
        networks: loads the network.
        governor: keeps the frame rate up.
        context: of the run.
        deadline: times each call that may hang.
    """

    def __init__(
        self, networks: Networks, governor: Governor, context: RunContext, deadline: Deadline
    ) -> None:
        self._networks, self._governor = networks, governor
        self._context, self._deadline = context, deadline
        self._level = governor.level
        self._wanted: Level | None = None
        self._next_level: Level | None = None
        self._helpers = BackgroundTasks()
        self._missed, self._last_index = 0, -1
        self._framing = Framing()
        self._scene: tuple[object, ...] = ()
        self._network: VideoMatting | None = None
        self._applied = networks.matting_config
        self._whole = LiveFullFrame(context.info.height, context.info.width)
        self._failures = 0
        self._retry_s = 0.0
        self._backoff = Backoff(0.1, 5.0)
        self._allowed_s: dict[str, float] = {}

    def prepare(self) -> None:
        """Load and compile.

        Raises:
            VidbgError: no network has run yet, and none can be loaded.
        """
        look = self._context.look
        if look.shows_room:
            return
        try:
            network = self._require_network()
            if not self._whole.takes(look):
                info = self._context.info
                black = np.zeros((info.height, info.width, 3), np.uint8)
                self._timed("network", lambda: network(black, 0.0))
                network.reset()
            self._context.network_ran.set()
        except Exception as error:
            if not self._context.network_ran.is_set() and isinstance(error, VidbgError):
                raise
            self._handle_failure(error)

    def __call__(self, arrived: Arrived) -> Matted | Composited | None:
        index = arrived.frame.index
        self._missed, self._last_index = index - self._last_index - 1, index
        if time.monotonic() < self._retry_s:
            return None
        look = self._context.look  # read once, so that alpha and background match
        if not look.shows_room:
            try:
                self._require_network()  # first, as it may be for outputs of another size
            except Exception as error:
                self._handle_failure(error)
                return None
        frame = self._fitted(arrived.frame, look)
        if look.shows_room:
            everything = np.ones(frame.image.shape[:2], np.float32)
            return Matted(frame, everything, look, arrived.at_s, arrived.session)
        try:
            self._follow_scene(arrived, look)
            return (
                None if self._network is None else self._matted(self._network, frame, look, arrived)
            )
        except Exception as error:
            self._handle_failure(error)
            return None

    def _fitted(self, frame: Frame, look: Appearance) -> Frame:
        """Return what is to be shown of a frame, at the output's size."""
        size = self._context.info.height, self._context.info.width
        frame = rotate(frame, look.picture.rotate)
        if frame.width * size[0] != frame.height * size[1]:
            frame = replace(frame, image=letterbox(frame.image, *size))
        if look.mirror:
            frame = replace(frame, image=np.asarray(cv2.flip(frame.image, 1), np.uint8))
        return self._framing(frame, look.picture, size)

    def _follow_scene(self, arrived: Arrived, look: Appearance) -> None:
        """Start alpha again where another part of a room is shown: the last one would reveal it.

        The image alone does not tell: rooms are dark and walls plain, so little of it changes.
        """
        picture, shape = look.picture, arrived.frame.image.shape
        scene = arrived.session, shape, look.mirror, picture.rotate
        part = picture.auto_frame or (picture.zoom, picture.pan_x, picture.pan_y)
        if (*scene, part) == self._scene:
            return
        if scene != self._scene[:-1]:
            self._framing.reset()
        self._scene = *scene, part
        self._reset()

    def _reset(self) -> None:
        """Reset the temporal state of alpha."""
        self._whole.reset()
        if self._network is not None:
            self._network.reset()

    def _matted(
        self, network: VideoMatting, frame: Frame, look: Appearance, arrived: Arrived
    ) -> Matted | Composited | None:
        """Process a fitted frame; return None if the whole image is classified as a person."""
        if self._whole.takes(look) and not self._context.shows_alpha:
            with self._context.clock.stage("device"):
                composite = self._timed("device", lambda: self._whole.composite(frame, look))
            if composite is not None:  # else its background failed, which the two steps report
                image = replace(frame, image=composite.image)
                done = Composited(Arrived(image, arrived.at_s, arrived.session), look)
                return done if self._believed(composite.person_share) else None
        alpha = self._alpha(network, frame)
        self._framing.follow(alpha, look.picture)
        share = float(alpha[::8, ::8].mean())
        if not self._believed(share):
            return None
        return Matted(frame, alpha, look, arrived.at_s, arrived.session)

    def _alpha(self, network: VideoMatting, frame: Frame) -> Alpha:
        """Compute alpha at the level that the governor chose, and tell it how long that took."""
        level, self._next_level = self._next_level, None
        if level is not None:
            network.use(level.step)
            self._level = level
        start = time.monotonic()
        skips = frame.index % self._level.every > 0
        work, reused = network.propagate if skips else network, network.reused
        alpha = self._timed("network", lambda: work(frame.image, frame.pts))
        worked = not skips and network.reused == reused
        now = time.monotonic()
        if self._governor.frame(now - start, self._missed, now, worked=worked):
            self._wanted = self._governor.level
        if self._wanted is not None and not self._helpers.busy:
            wanted, self._wanted = self._wanted, None
            self._helpers.start("compile", lambda: self._prepare(network, wanted))
        return alpha

    def _believed(self, person_share: float) -> bool:
        """Record that the network works and return whether its result may be shown."""
        self._failures = 0
        self._backoff.worked()
        if person_share > WHOLE:
            self._context.faults.raised(PART, "it calls the whole picture a person")
            return False
        self._context.faults.cleared(PART)
        return True

    def _prepare(self, network: VideoMatting, level: Level) -> None:
        """Compile for a level in the background, then schedule the switch to it."""
        info = self._context.info
        try:
            network.prepare(info.height, info.width, level.step)
        except VidbgError as error:
            if network is self._network and not self._helpers.ending.is_set():
                logger.warning("the network stays as it is: %s", error)
            return
        if network is self._network:
            self._next_level = level

    def _timed(self, what: str, work: Callable[[], Made]) -> Made:
        """Run a call that may hang, allowing more time on the first call."""
        start = time.monotonic()
        with self._deadline.over(self._allowed_s.get(what, stage.FIRST_PATIENCE_S)):
            made = work()
        taken_s = time.monotonic() - start
        self._allowed_s[what] = max(stage.PATIENCE_S, stage.SLOWNESS * taken_s)
        return made

    def _require_network(self) -> VideoMatting:
        if self._network is not None and self._networks.better():
            self._drop()
        if self._network is None:
            with self._deadline.over(LOAD_PATIENCE_S):
                self._network = self._networks.load()
            self._whole.resize(self._context.info.height, self._context.info.width)
            with self._deadline.over(stage.FIRST_PATIENCE_S):
                self._whole.attach(self._network)
            self._network.clock = self._context.clock
            self._applied = self._networks.matting_config
            self._level = self._governor.reset(
                self._network.step,
                time.monotonic(),
                self._networks.levels,
                self._networks.cpu_limit,
            )
            self._next_level = self._wanted = None
            self._allowed_s.clear()
        if self._applied is not self._networks.matting_config:
            self._applied = self._networks.matting_config
            self._network.adjust(self._applied)
            with self._deadline.over(stage.FIRST_PATIENCE_S):
                self._whole.attach(self._network)
        return self._network

    def _handle_failure(self, error: Exception) -> None:
        """Handle a failure: reset after the first, reload the network after the second in a row."""
        self._context.faults.raised(PART, error)
        self._governor.restart(time.monotonic())
        self._failures += 1
        if self._network is not None and self._failures == 1:
            self._reset()
            return
        if self._whole.takes(self._context.look):
            self._whole.give_up(error)
            self._failures = 0
            return
        if self._network is not None:
            self._drop()
            self._networks.blame()
            self._failures = 0
        self._retry_s = time.monotonic() + self._backoff.next_s()

    def _drop(self) -> None:
        """Close the network. The next frame loads another."""
        self._whole.close()
        if self._network is not None:
            network, self._network = self._network, None
            network.close()

    def close(self) -> None:
        self._drop()
        self._helpers.close(COMPILE_PATIENCE_S)
