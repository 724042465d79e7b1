"""Matting and compositing of a stream's frames in one run each on a device that keeps the state."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidbg.closing import Closing
from vidbg.config import MattingConfig
from vidbg.errors import BackendError
from vidbg.frame import Frame, Image
from vidbg.matting.backends import Backend
from vidbg.matting.backends.answers import check_alpha
from vidbg.matting.backends.graphs import Arrays, GraphBackend, graph_backend
from vidbg.matting.ladder import file_step
from vidbg.matting.temporal import MAX_GAP_S
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.frame_inputs import frame_plan

CONSTANTS = ("rows", "columns", "grid_rows", "grid_columns")


def frame_device(matter: VideoMatting) -> GraphBackend | None:
    """The matter's device, if a graph there could do what the matter does and gains by it."""
    return graph_backend(matter.backend) if matter.config.fits_whole_frame else None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A frame on its way; to be given to `finish`, in the order of starting."""

    slot: int


@dataclass(frozen=True, slots=True)
class Composite:
    """What became of a frame.

    Attributes:
        image: uint8 (H, W, 3), BGR, the caller's own.
        person_share: mean of alpha, 0 to 1.
    """

    image: Image
    person_share: float


class WholeFrame(Closing):
    """Mat and composite frames of one size in order, as VideoMatting and Compositor do.

    Args:
        backend: to be closed after this.
        height, width: of the frames.
        config: the size of the network's input (see `ladder.file_step`), smoothing, prior.
        slots: frames that may be on their way; more keep a GPU busy while the last is fetched.
    Raises:
        BackendError: the backend runs no such graph, or its device failed. Building the engine may
            take a minute.
    """

    def __init__(
        self, backend: Backend, height: int, width: int, config: MattingConfig, slots: int
    ) -> None:
        device = graph_backend(backend)
        if device is None:
            raise BackendError(f"{backend.name}, {backend.precision}, runs the network alone")
        plan = frame_plan(height, width, file_step(config).pixels)
        self._config, self._slots = config, slots
        self._constants = {name: plan.inputs[name] for name in CONSTANTS}
        self._runner = device.open_graph(plan, slots)
        self._next = 0
        self._past_s: float | None = None

    def start(self, frame: Frame, behind: Image) -> Ticket:
        """Send a frame on its way; at most `slots` may be.

        Args:
            frame: of the size given.
            behind: of the same size; not to be written to any more.
        Raises:
            BackendError: the device failed.
        """
        slot, self._next = self._next, (self._next + 1) % self._slots
        self._runner.start(slot, self._inputs(frame, behind))
        return Ticket(slot)

    def finish(self, ticket: Ticket) -> Composite:
        """What became of the frame.

        Raises:
            BackendError: the device failed, or gave what is no alpha; the past is forgotten.
        """
        outputs = self._runner.wait(ticket.slot)
        smoothed = outputs["smoothed"][0, 0]
        try:
            check_alpha(smoothed)
        except BackendError:
            self.reset()
            raise
        return Composite(outputs["composited"][0].copy(), float(smoothed.mean()))

    def reset(self) -> None:
        """Forget the past: at a seek, between streams, and after what was no alpha."""
        self._past_s = None
        self._runner.forget()

    def _inputs(self, frame: Frame, behind: Image) -> Arrays:
        past_s, self._past_s = self._past_s, frame.pts
        follows = past_s is not None and 0 < frame.pts - past_s <= MAX_GAP_S
        keep = 0.0
        if past_s is not None and follows and self._config.smoothing_s > 0:
            keep = math.exp(-(frame.pts - past_s) / self._config.smoothing_s)
        return {
            "frame": frame.image[None],
            "background": behind,
            "keep": _number(keep),
            "prior": _number(follows and self._config.prior),
            **self._constants,
        }

    def close(self) -> None:
        self._runner.close()


def _number(value: float) -> NDArray[np.float32]:
    return np.array([value], np.float32)
