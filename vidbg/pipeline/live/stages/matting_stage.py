"""First stage of the live pipeline: mattes a frame, or composites it fully on the device."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from vidbg.compositing.scaling import letterbox
from vidbg.errors import VidbgError
from vidbg.frame import Frame
from vidbg.picture.framing import Framing, rotate
from vidbg.pipeline.live.appearance import Appearance
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.live_frames import Arrived, Composited, Matted
from vidbg.pipeline.live.network.governor import Governor
from vidbg.pipeline.live.network.network_loader import Networks
from vidbg.pipeline.live.stages.compositing_stage import CompositingStage
from vidbg.pipeline.live.stages.network_in_use import PART, NetworkInUse
from vidbg.pipeline.live.stages.stage import Stage, StageWorker
from vidbg.pipeline.live.threads.replaceable_thread import Deadline

WHOLE = 0.99
"""A matte with a larger person share than this shows the room."""


class MattingStage(Stage[Arrived, Matted | Composited]):
    """Takes frames of the camera, mattes them and passes them to compositing.

    Args:
        networks: loads the network.
        governor: keeps the frame rate up.
        compositing: receives the frames with their alpha.
        context: of the run.

    Attributes:
        newest_frame, newest_alpha: for views; None before the first, and for alpha while a GPU
            does full frames.
    """

    def __init__(
        self,
        networks: Networks,
        governor: Governor,
        compositing: CompositingStage,
        context: RunContext,
    ) -> None:
        super().__init__(PART, context)
        self._networks, self._governor, self._compositing = networks, governor, compositing
        self._due_pts = 0.0
        self.newest_frame: Arrived | None = None
        self.newest_alpha: Matted | None = None

    def take(self, frame: Arrived) -> None:
        """Take a camera frame, in the reader's thread, unless no output would show it."""
        if self._context.thins_frames:
            period_s = self._context.period_s
            if frame.frame.pts < self._due_pts - 0.25 * period_s:  # cameras are not that even
                return
            self._due_pts = max(self._due_pts, frame.frame.pts - period_s) + period_s
        self.newest_frame = frame
        # Those that the network does not run on wait for the one that it does
        self.submit(frame, max(1, self._governor.level.every - 1))

    def make_worker(self, deadline: Deadline) -> MattingWorker:
        return MattingWorker(self._networks, self._governor, self._context, deadline)

    def deliver(self, result: Matted | Composited) -> None:
        """Pass a frame and its alpha to compositing, in the matting thread."""
        if isinstance(result, Composited):  # a GPU has done both
            self.newest_alpha = None
            self._compositing.deliver(result)
        else:
            self.newest_alpha = result
            self._compositing.submit(result, self._governor.level.every)  # they come in bursts

    def hung(self) -> None:
        self._networks.blame()

    def forget(self) -> None:
        """Show views no frame any more until the next."""
        self.newest_frame = self.newest_alpha = None


class MattingWorker(StageWorker[Arrived, Matted | Composited]):
    """Mattes frames, on the device with compositing if possible.

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
        self._context = context
        self._network = NetworkInUse(networks, governor, context, deadline)
        self._framing = Framing()
        self._scene: tuple[object, ...] = ()
        self._missed, self._last_index = 0, -1

    def prepare(self) -> None:
        """Load and compile.

        Raises:
            VidbgError: no network has run yet, and none can be loaded.
        """
        if self._context.look.shows_room:
            return
        try:
            self._network.warm_up()
            self._context.network_ran.set()
        except Exception as error:
            if not self._context.network_ran.is_set() and isinstance(error, VidbgError):
                raise
            self._network.failed(error)

    def __call__(self, arrived: Arrived) -> Matted | Composited | None:
        index = arrived.frame.index
        self._missed, self._last_index = index - self._last_index - 1, index
        if self._network.waits:
            return None
        look = self._context.look  # read once, so that alpha and background match
        if look.shows_room:  # without a network
            frame = self._fitted(arrived.frame, look)
            everything = np.ones(frame.image.shape[:2], np.float32)
            return Matted(frame, everything, look, arrived.at_s, arrived.session)
        try:
            self._network.require()  # first, as it may be for outputs of another size
        except Exception as error:
            self._network.failed(error)
            return None
        frame = self._fitted(arrived.frame, look)
        try:
            self._follow_scene(arrived, look)
            return self._matted(frame, look, arrived)
        except Exception as error:
            self._network.failed(error)
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
        self._network.reset()

    def _matted(
        self, frame: Frame, look: Appearance, arrived: Arrived
    ) -> Matted | Composited | None:
        """Process a fitted frame; return None if the whole image is classified as a person."""
        # On a GPU that composites, too
        composite = self._network.composite(frame, look)
        if composite is not None:
            if not self._believed(composite.person_share):
                return None
            image = replace(frame, image=composite.image)
            return Composited(Arrived(image, arrived.at_s, arrived.session), look)
        # On any device: alpha here, compositing in the next stage
        alpha = self._network.alpha(frame, self._missed)
        self._framing.follow(alpha, look.picture)
        if not self._believed(float(alpha[::8, ::8].mean())):
            return None
        return Matted(frame, alpha, look, arrived.at_s, arrived.session)

    def _believed(self, person_share: float) -> bool:
        """Record that the network works and return whether its result may be shown."""
        self._network.worked()
        if person_share > WHOLE:
            self._context.faults.raised(PART, "it calls the whole picture a person")
            return False
        self._context.faults.cleared(PART)
        return True

    def close(self) -> None:
        self._network.close()
