"""Video matting: frames in, alpha out."""

from __future__ import annotations

import math
import numbers
from dataclasses import replace

import cv2
import numpy as np

from vidbg.config import MattingConfig
from vidbg.errors import BackendError
from vidbg.frame import Alpha, Image
from vidbg.matting.backends import Backend, load_backend
from vidbg.matting.backends.alpha_checks import trusted
from vidbg.matting.backends.lifetime import under_way
from vidbg.matting.backends.switchable import SwitchableBackend
from vidbg.matting.ladder import Step, file_step
from vidbg.matting.motion import Motion
from vidbg.matting.people import MainPerson
from vidbg.matting.preprocess import (
    Geometry,
    apply_gain,
    check_image,
    content,
    network_input,
    plan_geometry,
    shrink,
)
from vidbg.matting.still import StillPicture
from vidbg.matting.temporal import TemporalFilter
from vidbg.matting.upsample import upsample
from vidbg.util.field_types import check_type
from vidbg.util.lifecycle import Closeable
from vidbg.util.timing import StageClock

NOMINAL_INTERVAL_S = 1 / 30

SETTLED = (0.03, 0.97)
"""Alphas up to the first value become 0, those from the second on become 1."""


class VideoMatting(Closeable):
    """Video matting: computes the alpha of a stream of images, in order.

    Temporal state is kept between calls, so one instance serves one stream, from one thread.
    Loading takes about a second, and so does the first call at a new image size.

    Args:
        device: one of `Device` in vidbg/util/choices.py, such as "auto", "cuda" or "cpu".
        precision: "auto", int8, bf16, fp16 or fp32.
        config: everything else; `device` and `precision` take precedence over its values.
        backend: a backend of your own instead of the device's.
    Raises:
        ConfigError: a name or number is not allowed.
        BackendError: the device cannot be used; the message gives the reason.

    Attributes:
        clock: how long each stage took; `network` only covers frames in which it ran.
        reused: number of frames in which nothing moved, so that the network did not run.
    """

    def __init__(
        self,
        device: str | None = None,
        precision: str | None = None,
        *,
        config: MattingConfig | None = None,
        backend: Backend | None = None,
    ) -> None:
        check_type("config", config, MattingConfig | None)
        self._config = config = config or MattingConfig()
        self._step = file_step(config)
        self._backend = backend or load_backend(
            device or config.device,
            precision or config.precision,
            self._step.network,
            config.threads,
        )
        self._filter = TemporalFilter(config.smoothing_s)
        with under_way():  # OpenCV is also a native library
            self._motion = Motion()
        self._main = MainPerson() if config.people == "main" else None
        self._geometry: Geometry | None = None
        self._frame_size = (0, 0)
        self._pts = 0.0
        self._still = StillPicture()
        self._reuses = config.reuse and not config.prior
        self._closed = False
        self.clock = StageClock()
        self.reused = 0

    @property
    def backend(self) -> Backend:
        return self._backend

    @property
    def config(self) -> MattingConfig:
        return self._config

    def __call__(self, image: Image, pts: float | None = None) -> Alpha:
        """Compute the alpha of the next image.

        Args:
            image: uint8 (H, W, 3), BGR, at least 1 x 1. A change of size resets the state.
            pts: its time in seconds; None for 1/30 s after the last.
        Returns:
            float32 (H, W) in [0, 1]; 1 is the person; a new array.
        Raises:
            ValueError: the image has another type or shape, or the time is not a number; the
                message says which.
            BackendError: the device failed or returned no valid alpha, or this instance is closed.
        """
        alpha = self.shared_alpha(image, pts)
        return alpha if alpha.flags.writeable else alpha.copy()

    def shared_alpha(
        self, image: Image, pts: float | None = None, *, propagates: bool = False
    ) -> Alpha:
        """Compute the alpha of the next image; while nothing moves, it is the same array again.

        This tells the compositor that it can reuse its work.

        Args:
            propagates: estimate the alpha from the last one's, by motion, for machines that are too
                slow to run the network on every frame. After a reset, a cut or a gap the network
                runs anyway.
        Returns:
            As a call does, but read-only where it is shared.
        """
        self._require_open()
        check_image(image)
        if pts is not None and not (isinstance(pts, numbers.Real) and math.isfinite(pts)):
            raise ValueError(f"pts is {pts!r}; it must be a time in seconds, or None")
        self._pts = self._pts + NOMINAL_INTERVAL_S if pts is None else pts
        with under_way():
            return self._next_alpha(image, propagates)

    def _next_alpha(self, image: Image, propagates: bool) -> Alpha:
        """Compute an alpha step by step, but reuse the last one while nothing moves."""
        geometry, small, before, answer = self._look(image, "propagate" if propagates else "smooth")
        still = answer is not None
        if propagates and not still:
            with self.clock.stage("propagate"):
                moved = self._filter.propagate(self._motion)
            if moved is not None:
                with self.clock.stage("upsample"):
                    return self._enlarge(apply_levels(moved), small, image)
        if answer is None:
            answer = self._ask(small, before, geometry)
        with self.clock.stage("smooth"):
            alpha = apply_levels(self._filter.smooth(answer))
        with self.clock.stage("upsample"):
            # Once smoothing no longer changes the last alpha, its enlargement is returned again
            full = self._still.enlarged(alpha) if still else None
            if full is None:
                full = self._enlarge(alpha, small, image)
                if still:
                    full.flags.writeable = False
                    self._still.keep(alpha, full)
            return full

    def _look(self, image: Image, stage: str) -> tuple[Geometry, Image, Alpha | None, Alpha | None]:
        """Shrink an image and compare it with earlier ones.

        Args:
            stage: that the comparison is a part of.
        Returns:
            Geometry, small image, the last alpha if it applies, and the network's last alpha if
            nothing has moved since.
        """
        geometry = self._plan(image)
        with self.clock.stage("resize"):
            small = shrink(image, geometry)
        with self.clock.beginning(stage):
            before = self._filter.look(small, self._pts)
            answer = self._still.answer(small, self._pts) if self._reuses else None
        self.reused += answer is not None
        return geometry, small, before, answer

    def estimate(self, image: Image, pts: float) -> tuple[Image, Alpha]:
        """Compute the network's alpha of the next image, for smoothing elsewhere and `enlarge`.

        Arguments and errors are those of a call.

        Returns:
            The image at the network's size, uint8 (h, w, 3) BGR, and its alpha, float32 (h, w) in
            [0, 1], which must not be changed.
        """
        self._require_open()
        check_image(image)
        self._pts = pts
        with under_way():
            geometry, small, before, answer = self._look(image, "smooth")
            if answer is None:
                answer = self._ask(small, before, geometry)
            with self.clock.stage("smooth"):  # the prior and `people` look at the last alpha
                self._filter.smooth(answer)
            return small, answer

    def enlarge(self, alpha: Alpha, small: Image, image: Image) -> Alpha:
        """Enlarge an alpha at the network's size to its image, along the image's edges.

        Args:
            alpha: float32 (h, w) in [0, 1], smoothed.
            small: uint8 (h, w, 3), BGR, as `estimate` returned it.
            image: uint8 (H, W, 3), BGR.
        Returns:
            float32 (H, W) in [0, 1]; a new array.
        """
        with under_way(), self.clock.stage("upsample"):
            return self._enlarge(apply_levels(alpha), small, image)

    @property
    def step(self) -> Step:
        """Current network and the pixels of its input."""
        return self._step

    def use(self, step: Step) -> None:
        """Switch to another network or input size with the next image; temporal state is kept.

        Raises:
            ValueError: the step needs another network, which has not been prepared.
        """
        if isinstance(self._backend, SwitchableBackend):
            self._backend.use(step.network)
        elif step.network != self._step.network:
            raise ValueError(f"this VideoMatting has one network, {self._step.network}")
        self._step, self._geometry = step, None

    def adjust(self, config: MattingConfig) -> None:
        """Take smoothing, refinement and people from another config, from the next image on.

        Raises:
            ConfigError: this is not a config.
        """
        check_type("config", config, MattingConfig)
        before = self._config
        self._config = replace(
            before, smoothing_s=config.smoothing_s, refine=config.refine, people=config.people
        )
        if config.smoothing_s != before.smoothing_s:
            self._filter = TemporalFilter(config.smoothing_s)
        if config.people != before.people:
            self._main = MainPerson() if config.people == "main" else None
        self._still.forget()

    def prepare(self, height: int, width: int, step: Step) -> None:
        """Load and compile what `use` needs for images of this size.

        May be called from another thread during a call; `use` then returns at once.

        Raises:
            BackendError: the device failed, or this instance is closed.
        """
        self._require_open()
        plan = plan_geometry(height, width, step.pixels)
        if isinstance(self._backend, SwitchableBackend):
            self._backend.prepare_network(step.network, plan.height, plan.width)
        else:
            self._backend.prepare(plan.height, plan.width)

    def reset(self) -> None:
        """Forget earlier images: call this after a seek and between unrelated images."""
        self._filter.reset()
        self._still.forget()
        if self._main is not None:
            self._main.reset()

    def _plan(self, image: Image) -> Geometry:
        """Return the geometry for an image, after adapting the state to a change of size."""
        height, width = image.shape[:2]
        geometry, other_size = self._geometry, self._frame_size != (height, width)
        if geometry is not None and not other_size:
            return geometry
        geometry = self._geometry = plan_geometry(height, width, self._step.pixels)
        self._frame_size = height, width
        if other_size:
            self.reset()
            return geometry
        self._still.forget()  # its images have the old network input size
        self._filter.resize(geometry.content_height, geometry.content_width)
        if self._main is not None:
            self._main.reset()
        return geometry

    def _ask(self, small: Image, before: Alpha | None, geometry: Geometry) -> Alpha:
        """Run the network; `before` is the previous alpha, None where it does not apply."""
        with self.clock.stage("normalise"):
            bright = apply_gain(small)
            batch = network_input(bright, before if self._config.prior else None, geometry)
        with self.clock.stage("network"):
            answer = content(trusted(self._backend(batch), batch), geometry)
        if self._main is not None:
            with self.clock.stage("people"):
                if before is None:
                    self._main.reset()
                answer = self._main(answer)
        self._still.learn(small, answer, self._pts, noisy=bright is small)
        return answer

    def _enlarge(self, alpha: Alpha, small: Image, image: Image) -> Alpha:
        if self._config.refine:
            return upsample(alpha, small, image)
        height, width = image.shape[:2]
        return np.asarray(cv2.resize(alpha, (width, height)), np.float32)

    def close(self) -> None:
        """Free the device; calls after that raise BackendError. May be called more than once."""
        self._closed = True
        self._backend.close()

    def _require_open(self) -> None:
        if self._closed:
            raise BackendError(
                "this VideoMatting is closed and computes nothing more; make a new one"
            )


def apply_levels(alpha: Alpha) -> Alpha:
    """Make the last few hundredths at both ends exactly 0 and 1.

    The twin for GPUs is `vidbg.matting.full_frame.matting_graph.apply_levels`.

    A network never returns exactly 0 or 1. Without this step the room would show through the person
    by a grey level, and later stages would treat the whole image as an edge.
    """
    low, high = SETTLED
    return np.asarray(np.clip((alpha - low) * np.float32(1 / (high - low)), 0, 1), np.float32)
