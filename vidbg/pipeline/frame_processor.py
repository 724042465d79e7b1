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
from vidbg.frame import Alpha, Frame, Image, StreamInfo
from vidbg.matting.lookahead import Lookahead, lookahead_for
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

    def start(self, frame: Frame) -> list[Any]:
        """Run the matting half of the next frame.

        Returns:
            What `finish` needs, for each frame that is ready: this one, or earlier ones that have
            waited for it.
        Raises:
            BackendError: the device failed.
        """
        ...

    def flush(self) -> list[Any]:
        """Return what `finish` needs for the frames that still wait, after the last frame."""
        ...

    def finish(self, matte: Any) -> Frame:
        """Run the compositing half of a frame.

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
        lookahead: smooths the alphas by later frames, too, which their frames wait for.
    """

    def __init__(
        self,
        matter: VideoMatting | None,
        compose: Compose,
        picture: PictureConfig | None = None,
        lookahead: Lookahead[tuple[Frame, Image]] | None = None,
    ) -> None:
        self._matter, self._compose, self._lookahead = matter, compose, lookahead
        self._picture = picture or PictureConfig()
        self._framing, self._colours = Framing(), PictureColours()
        self.clock = StageClock() if matter is None else matter.clock

    def start(self, frame: Frame) -> list[tuple[Frame, Alpha]]:
        """Crop a frame; return the frames that are ready, with their alphas."""
        frame = self._framing(frame, self._picture)
        if self._matter is None:
            return [(frame, np.ones(frame.image.shape[:2], np.float32))]
        if self._lookahead is not None:
            small, estimate = self._matter.estimate(frame.image, frame.pts)
            with self.clock.stage("smooth"):
                smoothed = self._lookahead.push((frame, small), small, estimate, frame.pts)
            return self._enlarged(smoothed)
        alpha = self._matter.shared_alpha(frame.image, frame.pts)
        self._framing.follow(alpha, self._picture)
        return [(frame, alpha)]

    def flush(self) -> list[tuple[Frame, Alpha]]:
        return [] if self._lookahead is None else self._enlarged(self._lookahead.flush())

    def _enlarged(
        self, smoothed: list[tuple[tuple[Frame, Image], Alpha]]
    ) -> list[tuple[Frame, Alpha]]:
        assert self._matter is not None
        return [
            (frame, self._matter.enlarge(alpha, small, frame.image))
            for (frame, small), alpha in smoothed
        ]

    def finish(self, matte: tuple[Frame, Alpha]) -> Frame:
        frame, alpha = matte
        with self.clock.stage("composite"):
            return self._compose(self._colours(frame, self._picture), alpha)

    def reset(self) -> None:
        self._framing.reset()
        self._colours.reset()
        if self._matter is not None:
            self._matter.reset()
        if self._lookahead is not None:
            self._lookahead.reset()


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

    def start(self, frame: Frame) -> list[tuple[Frame, Ticket]]:
        shown = self._framing(frame, self._picture)
        with self.clock.stage("send"):
            return [(frame, self._whole.start(shown, self._compositor.background_image(shown)))]

    def flush(self) -> list[tuple[Frame, Ticket]]:
        return []

    def finish(self, matte: tuple[Frame, Ticket]) -> Frame:
        frame, ticket = matte
        with self.clock.stage("fetch"):
            return replace(frame, image=self._whole.finish(ticket).image)

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
        """Choose the processor for a new stream.

        At the quality "best", alpha is smoothed by later frames, too. Otherwise frames are
        processed on the device where it supports the full frame. Automatic framing needs the last
        frame's alpha at once, and a live stream cannot wait.
        """
        picture = picture or PictureConfig()
        whole = lookahead = None
        if matter is not None and not (info.stills or info.live or picture.auto_frame):
            lookahead = lookahead_for(matter.config)
        one_step = compositor.plain and picture.plain and not info.stills and not info.has_alpha
        if matter is not None and lookahead is None and one_step:
            whole = self._for(matter, info.height, info.width)
        if matter is None or whole is None:
            processor: FrameProcessor = CpuCompositing(matter, compositor, picture, lookahead)
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
