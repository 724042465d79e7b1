"""Frame processors turn a frame into a composited frame.

`start` runs in the matting thread, `finish` in the writer thread.
"""

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
from vidbg.picture.colours import PictureColours
from vidbg.picture.framing import Framing
from vidbg.picture.picture_config import PictureConfig
from vidbg.pipeline.gpu.full_frame import FullFrame, Ticket, frame_device
from vidbg.util.lifecycle import Closeable
from vidbg.util.timing import StageClock

logger = logging.getLogger(__name__)

Compose = Callable[[Frame, Alpha], Frame]
"""Turns a frame and its alpha into the frame that the sink receives."""


class FrameProcessor(Protocol):
    """Turns each frame of a stream into a composited frame, in order.

    Attributes:
        clock: records how long each stage took.
    """

    clock: StageClock

    def start(self, frame: Frame) -> Any:
        """Run the matting half and return what `finish` needs.

        Raises:
            BackendError: the device failed.
        """
        ...

    def finish(self, frame: Frame, matte: Any) -> Frame:
        """Run the compositing half for the same frame.

        Raises:
            VidbgError: the device failed, or the background can no longer be read.
        """
        ...

    def reset(self) -> None:
        """Clear the temporal state before a frame that does not follow the last one."""
        ...


class CpuCompositing:
    """Frame processor that runs only the network on the device and composites on the CPU.

    Args:
        matter: None for passthrough, where `finish` ignores alpha.
        picture: how the frames' own colours are adjusted.
    """

    def __init__(
        self,
        matter: VideoMatting | None,
        compose: Compose,
        picture: PictureConfig | None = None,
    ) -> None:
        self._matter, self._compose = matter, compose
        self._picture = picture or PictureConfig()
        self._framing, self._colours = Framing(), PictureColours()
        self.clock = StageClock() if matter is None else matter.clock

    def start(self, frame: Frame) -> tuple[Frame, Alpha]:
        """Crop a frame; return it with its alpha."""
        frame = self._framing(frame, self._picture)
        if self._matter is None:
            return frame, np.ones(frame.image.shape[:2], np.float32)
        alpha = self._matter.shared_alpha(frame.image, frame.pts)
        self._framing.follow(alpha, self._picture)
        return frame, alpha

    def finish(self, _frame: Frame, matte: tuple[Frame, Alpha]) -> Frame:
        frame, alpha = matte
        with self.clock.stage("composite"):
            return self._compose(self._colours(frame, self._picture), alpha)

    def reset(self) -> None:
        self._framing.reset()
        self._colours.reset()
        if self._matter is not None:
            self._matter.reset()


class GpuFrame:
    """Frame processor that runs matting and compositing on the device.

    Args:
        compositor: provides the background only.
        clock: times the stages: `send` uploads the frame, `fetch` waits for its composite.
        picture: which part of the frames is shown.
    """

    def __init__(
        self, whole: FullFrame, compositor: Compositor, clock: StageClock, picture: PictureConfig
    ) -> None:
        self._whole, self._compositor, self.clock = whole, compositor, clock
        self._picture, self._framing = picture, Framing()

    def start(self, frame: Frame) -> Ticket:
        frame = self._framing(frame, self._picture)
        with self.clock.stage("send"):
            return self._whole.start(frame, self._compositor.background_image(frame))

    def finish(self, frame: Frame, matte: Ticket) -> Frame:
        with self.clock.stage("fetch"):
            return replace(frame, image=self._whole.finish(matte).image)

    def reset(self) -> None:
        self._whole.reset()


class FrameProcessors(Closeable):
    """Chooses a frame processor per stream and reuses the device's graph for the same size.

    Args:
        slots: maximum number of frames between `start` and `finish`.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._whole: FullFrame | None = None
        self._made_for: tuple[VideoMatting, int, int] | None = None

    def choose(
        self,
        matter: VideoMatting | None,
        compositor: Compositor,
        info: StreamInfo,
        picture: PictureConfig | None = None,
    ) -> FrameProcessor:
        """Choose the processor for a new stream, on the device where it supports the full frame."""
        picture = picture or PictureConfig()
        whole = None
        one_step = compositor.plain and picture.plain and not info.stills and not info.has_alpha
        if matter is not None and one_step:
            whole = self._for(matter, info.height, info.width)
        if matter is None or whole is None:
            processor: FrameProcessor = CpuCompositing(matter, compositor, picture)
        else:
            processor = GpuFrame(whole, compositor, matter.clock, picture)
        processor.reset()
        return processor

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
        """Free the device's graph. Call this before closing the matter."""
        whole, self._whole, self._made_for = self._whole, None, None
        if whole is not None:
            whole.close()
