"""The full frame on the network's device in a live run, where device and look allow it."""

from __future__ import annotations

import logging
import time
from contextlib import suppress

import numpy as np

from vidbg.errors import BackendError
from vidbg.frame import Frame
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.gpu.frame_inputs import frame_plan
from vidbg.pipeline.gpu.full_frame import Composite, FullFrame, frame_device
from vidbg.pipeline.live.appearance import Appearance
from vidbg.pipeline.live.stages.look_compositor import LookCompositor
from vidbg.util.lifecycle import Closeable

logger = logging.getLogger(__name__)

BACKGROUND_RETRY_S = 5.0
"""How long frames are composited on the CPU after a background failed."""


class LiveFullFrame(Closeable):
    """Composites full frames on the device of a network.

    What this refuses is done in two steps: alpha there, compositing on the CPU.

    Args:
        height, width: of the frames.
    """

    def __init__(self, height: int, width: int) -> None:
        self._height, self._width = height, width
        self._full_frame: FullFrame | None = None
        self._given_up = False
        self._compositor = LookCompositor()
        self._retry_s = 0.0

    def takes(self, look: Appearance) -> bool:
        """Whether `composite` accepts frames of this look at the moment."""
        waits = time.monotonic() < self._retry_s
        plain = look.compositing.plain and look.picture.plain
        return self._full_frame is not None and plain and not waits

    def resize(self, height: int, width: int) -> None:
        """Take frames of another size from the next network on."""
        self._height, self._width = height, width

    def attach(self, network: VideoMatting) -> None:
        """Use a new network's device, if its graph has been built."""
        self._detach()
        device = frame_device(network)
        if self._given_up or device is None:
            return
        plan = frame_plan(self._height, self._width, network.step.pixels)
        if not device.graph_ready(plan):
            return
        try:
            full_frame = FullFrame(device, self._height, self._width, network.config, slots=1)
        except BackendError as error:
            self.give_up(error)
            return
        self._full_frame = full_frame
        black = np.zeros((self._height, self._width, 3), np.uint8)
        full_frame.finish(full_frame.start(Frame(black, 0.0, 0), black))
        full_frame.reset()

    def composite(self, frame: Frame, look: Appearance) -> Composite | None:
        """Composite a frame of an accepted look; return None if the background failed.

        Raises:
            BackendError: the device failed.
        """
        if self._full_frame is None:
            return None
        try:
            background = self._compositor.of(look).background_image(frame)
        except Exception as error:
            logger.debug("the background failed beside the device", exc_info=error)
            self._compositor.close()
            self._retry_s = time.monotonic() + BACKGROUND_RETRY_S
            return None
        return self._full_frame.finish(self._full_frame.start(frame, background))

    def reset(self) -> None:
        """Reset the temporal state, if the device still can."""
        if self._full_frame is not None:
            with suppress(Exception):  # it may be lost
                self._full_frame.reset()

    def give_up(self, error: Exception) -> None:
        """Run only the network on the device from now on."""
        logger.warning("the device runs the network alone from now on: %s", error)
        self._given_up = True
        self._detach()

    def _detach(self) -> None:
        full_frame, self._full_frame = self._full_frame, None
        if full_frame is not None:
            full_frame.close()

    def close(self) -> None:
        """Free the device's graph and the background. Call it before the network is closed."""
        self._detach()
        self._compositor.close()
