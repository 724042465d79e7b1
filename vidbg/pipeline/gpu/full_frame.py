"""Matting and compositing of each frame in one run, on a device that keeps the state."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidbg.config import MattingConfig
from vidbg.errors import BackendError
from vidbg.frame import Frame, Image
from vidbg.matting.backends import Backend
from vidbg.matting.backends.alpha_checks import check_alpha
from vidbg.matting.backends.graphs import GraphBackend, graph_backend
from vidbg.matting.ladder import file_step
from vidbg.matting.temporal import MAX_GAP_S
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.gpu.frame_inputs import frame_plan
from vidbg.util.lifecycle import Closeable

CONSTANTS = ("rows", "columns", "grid_rows", "grid_columns")


def frame_device(matter: VideoMatting) -> GraphBackend | None:
    """Return the matter's device if it can run the full frame and gains from it, else None."""
    return graph_backend(matter.backend) if matter.config.allows_full_frame else None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A frame in flight. Pass tickets to `finish` in the order of `start`."""

    slot: int


@dataclass(frozen=True, slots=True)
class Composite:
    """A composited frame.

    Attributes:
        image: uint8 (H, W, 3), BGR, a new array.
        person_share: mean of alpha, 0 to 1.
    """

    image: Image
    person_share: float


class FullFrame(Closeable):
    """Runs VideoMatting and Compositor as one graph per frame, for frames of one size.

    Args:
        backend: runs the graph; close it after this object.
        height, width: of the frames.
        config: the size of the network's input (see `ladder.file_step`), smoothing, prior.
        slots: frames that may be in flight; a second one keeps the GPU busy during a download.
    Raises:
        BackendError: the backend cannot run the graph, or its device failed. Building the engine
            may take a minute.
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

    def start(self, frame: Frame, background: Image) -> Ticket:
        """Start a frame; at most `slots` may be in flight.

        Args:
            frame: of the given size.
            background: of the same size; do not write to it afterwards.
        Raises:
            BackendError: the device failed.
        """
        slot, self._next = self._next, (self._next + 1) % self._slots
        past_s, self._past_s = self._past_s, frame.pts
        follows = past_s is not None and 0 < frame.pts - past_s <= MAX_GAP_S
        keep = 0.0
        if past_s is not None and follows and self._config.smoothing_s > 0:
            keep = math.exp(-(frame.pts - past_s) / self._config.smoothing_s)
        self._runner.start(
            slot,
            {
                "frame": frame.image[None],
                "background": background,
                "keep": _number(keep),
                "prior": _number(follows and self._config.prior),
                **self._constants,
            },
        )
        return Ticket(slot)

    def finish(self, ticket: Ticket) -> Composite:
        """Wait for a frame and return its composite.

        Raises:
            BackendError: the device failed, or returned an invalid alpha; the state is reset.
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
        """Reset the temporal state. Call it at a seek and between streams."""
        self._past_s = None
        self._runner.forget()

    def close(self) -> None:
        self._runner.close()


def _number(value: float) -> NDArray[np.float32]:
    return np.array([value], np.float32)
