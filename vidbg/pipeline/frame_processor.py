"""From a frame to its composite, in two halves, each of which has a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from vidbg.compositing import Compositor
from vidbg.errors import BackendError
from vidbg.frame import Alpha, Frame, StreamInfo
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.gpu.full_frame import FullFrame, Ticket, frame_device
from vidbg.util.lifecycle import Closeable
from vidbg.util.timing import StageClock

logger = logging.getLogger(__name__)

Compose = Callable[[Frame, Alpha], Frame]
"""From a frame and its alpha to what the sink gets."""


class FrameProcessor(Protocol):
    """What a stream's frames go through, one after the other.

    Attributes:
        clock: how long each stage took.
    """

    clock: StageClock

    def mat(self, frame: Frame) -> Any:
        """The first half; what `compose` needs of it.

        Raises:
            BackendError: the device failed.
        """
        ...

    def compose(self, frame: Frame, matte: Any) -> Frame:
        """The second half, for the same frame.

        Raises:
            VidbgError: the device failed, or the background cannot be read on.
        """
        ...

    def reset(self) -> None:
        """Forget the past: the next frame does not follow on the last."""
        ...


class CpuCompositing:
    """The network's alpha, then whatever is made of it.

    Args:
        matter: None for passthrough, when `compose` does not look at alpha.
    """

    def __init__(self, matter: VideoMatting | None, compose: Compose) -> None:
        self._matter, self._compose = matter, compose
        self.clock = StageClock() if matter is None else matter.clock

    def mat(self, frame: Frame) -> Alpha:
        if self._matter is None:
            return np.ones(frame.image.shape[:2], np.float32)
        return self._matter(frame.image, frame.pts)

    def compose(self, frame: Frame, matte: Alpha) -> Frame:
        with self.clock.stage("composite"):
            return self._compose(frame, matte)

    def reset(self) -> None:
        if self._matter is not None:
            self._matter.reset()


class GpuFrame:
    """Both by the device: a frame is sent there and its composite fetched.

    Args:
        compositor: for the background alone.
        clock: of the stages: `send` until the frame is on its way, `fetch` until it is back.
    """

    def __init__(self, whole: FullFrame, compositor: Compositor, clock: StageClock) -> None:
        self._whole, self._compositor, self.clock = whole, compositor, clock

    def mat(self, frame: Frame) -> Ticket:
        with self.clock.stage("send"):
            return self._whole.start(frame, self._compositor.background_image(frame))

    def compose(self, frame: Frame, matte: Ticket) -> Frame:
        with self.clock.stage("fetch"):
            return replace(frame, image=self._whole.finish(matte).image)

    def reset(self) -> None:
        self._whole.reset()


class FrameProcessors(Closeable):
    """Chooses a road for each stream; the device's graph is kept for streams of the same size.

    Args:
        slots: frames between the two halves of a road at most.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._whole: FullFrame | None = None
        self._made_for: tuple[VideoMatting, int, int] | None = None

    def choose(
        self, matter: VideoMatting | None, compositor: Compositor, info: StreamInfo
    ) -> FrameProcessor:
        """The road for a stream that begins: the full frame on the device where that can be."""
        whole = None
        one_step = not info.stills and not info.has_alpha and compositor.plain
        if matter is not None and one_step:
            whole = self._for(matter, info.height, info.width)
        if matter is None or whole is None:
            road: FrameProcessor = CpuCompositing(matter, compositor)
        else:
            road = GpuFrame(whole, compositor, matter.clock)
        road.reset()
        return road

    def _for(self, matter: VideoMatting, height: int, width: int) -> FullFrame | None:
        device = frame_device(matter)
        if device is None:
            return None
        if self._made_for != (matter, height, width):
            self.close()
            self._made_for = matter, height, width
            try:
                self._whole = FullFrame(device, height, width, matter.config, self._slots)
            except BackendError as error:
                logger.warning("the device runs the network alone: %s", error)
        return self._whole

    def close(self) -> None:
        """Free the device's graph; to be called before the matter is closed."""
        whole, self._whole, self._made_for = self._whole, None, None
        if whole is not None:
            whole.close()
