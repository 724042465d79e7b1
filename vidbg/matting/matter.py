"""The matter: frames in, alpha out."""

from __future__ import annotations

import cv2
import numpy as np

from vidbg.closing import Closing
from vidbg.config import MattingConfig
from vidbg.errors import BackendError
from vidbg.frame import Alpha, Image
from vidbg.matting.backends import Backend, load_backend
from vidbg.matting.backends.answers import trusted
from vidbg.matting.backends.lifetime import under_way
from vidbg.matting.motion import Motion
from vidbg.matting.people import MainPerson
from vidbg.matting.preprocess import (
    Geometry,
    brighten,
    content,
    network_input,
    plan_geometry,
    shrink,
)
from vidbg.matting.still import StillPicture
from vidbg.matting.temporal import TemporalFilter
from vidbg.matting.upsample import upsample
from vidbg.timing import StageClock

NOMINAL_INTERVAL_S = 1 / 30

SETTLED = (0.03, 0.97)
"""Alphas up to the first are nobody, from the second on the person."""


class Matter(Closing):
    """Computes the alpha of a stream of pictures, one after the other.

    Keeps temporal state between calls: one matter serves one stream, from one thread. Loading
    takes about a second, the first call at a new picture size another.

    Args:
        device: "auto", or by name: tensorrt, cuda, mps, xpu, cpu, intel-gpu, torch-cpu.
        precision: "auto", int8, bf16, fp16 or fp32.
        config: everything else; device and precision given beside it win.
        backend: a backend of your own instead of the device's.
    Raises:
        ConfigError: a name or number that is not allowed.
        BackendError: the device cannot be used; the message gives the reason.

    Attributes:
        clock: how long each stage took; `network` of those frames in which it ran.
        reused: frames that stood still, so that the network rested.
    """

    def __init__(
        self,
        device: str | None = None,
        precision: str | None = None,
        *,
        config: MattingConfig | None = None,
        backend: Backend | None = None,
    ) -> None:
        self._config = config = config or MattingConfig()
        self._backend = backend or load_backend(
            device or config.device, precision or config.precision, config.threads
        )
        self._filter = TemporalFilter(config.smoothing_s)
        with under_way():  # OpenCV is a native library, too
            self._motion = Motion()
        self._main = MainPerson() if config.people == "main" else None
        self._pixels = config.network_pixels
        self._geometry: Geometry | None = None
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
        """Alpha of the next picture.

        Args:
            image: uint8 (H, W, 3), BGR, at least 1 x 1. Another size than the last resets.
            pts: its time in seconds; None for 1/30 s after the last.
        Returns:
            float32 (H, W) in [0, 1]; 1 is the person; a new array.
        Raises:
            ValueError: not such an array; the message says what came.
            BackendError: the device failed, or gave what is no alpha, or the matter is closed.
        """
        self._require_open()
        _check(image)
        self._pts = self._pts + NOMINAL_INTERVAL_S if pts is None else pts
        with under_way():
            return self._next(image)

    def _next(self, image: Image) -> Alpha:
        geometry = self._plan(image)
        with self.clock.stage("resize"):
            small = shrink(image, geometry)
        with self.clock.beginning("smooth"):
            before = self._filter.look(small, self._pts)
            found = self._still.answer(small) if self._reuses else None
        still = found is not None
        if found is None:
            found = self._ask(small, before, geometry)
        self.reused += still
        with self.clock.stage("smooth"):
            alpha = settle(self._filter.smooth(found))
        with self.clock.stage("upsample"):
            enlarge = self._enlarge_again if still else self._enlarge
            return enlarge(alpha, small, image)

    def carry(self, image: Image, pts: float) -> Alpha:
        """Alpha of the next picture, from the last one's by motion where that can be.

        For a machine that is too slow to ask the network every time. After a reset, a cut or a gap
        the network is asked all the same. Arguments, result and errors are those of a call.
        """
        self._require_open()
        _check(image)
        with under_way():
            geometry = self._plan(image)
            with self.clock.stage("resize"):
                small = shrink(image, geometry)
            with self.clock.stage("carry"):
                self._filter.look(small, pts)
                carried = self._filter.carry(self._motion)
            if carried is None:
                return self(image, pts)
            self._pts = pts
            with self.clock.stage("upsample"):
                return self._enlarge(settle(carried), small, image)

    @property
    def network_pixels(self) -> int:
        """Pixels of the network's input; another number resets at the next picture."""
        return self._pixels

    @network_pixels.setter
    def network_pixels(self, pixels: int) -> None:
        self._pixels, self._geometry = pixels, None

    def prepare(self, height: int, width: int, pixels: int) -> None:
        """Compile for pictures of this size at so many network pixels.

        May be called beside a call, from another thread: the change to `pixels` then costs nothing.

        Raises:
            BackendError: the device failed, or the matter is closed.
        """
        self._require_open()
        plan = plan_geometry(height, width, pixels)
        self._backend.prepare(plan.height, plan.width)

    def reset(self) -> None:
        """Forget the past: call it at a seek and between unrelated pictures."""
        self._filter.reset()
        self._still.forget()
        if self._main is not None:
            self._main.reset()

    def _plan(self, image: Image) -> Geometry:
        height, width = image.shape[:2]
        geometry = self._geometry
        if geometry is None or (geometry.frame_height, geometry.frame_width) != (height, width):
            geometry = plan_geometry(height, width, self._pixels)
            self._geometry = geometry
            self.reset()
        return geometry

    def _ask(self, small: Image, before: Alpha | None, geometry: Geometry) -> Alpha:
        with self.clock.stage("normalise"):
            batch = network_input(brighten(small), before if self._config.prior else None, geometry)
        with self.clock.stage("network"):
            answer = content(trusted(self._backend(batch), batch), geometry)
        if self._main is not None:
            with self.clock.stage("people"):
                if before is None:
                    self._main.reset()
                answer = self._main(answer)
        self._still.learn(small, answer)
        return answer

    def _enlarge_again(self, alpha: Alpha, small: Image, image: Image) -> Alpha:
        """Alpha of a picture that stands still: as before, once smoothing changes nothing more."""
        full = self._still.enlarged(alpha)
        if full is None:
            full = self._enlarge(alpha, small, image)
            self._still.keep(alpha, full)
        return full.copy()

    def _enlarge(self, alpha: Alpha, small: Image, image: Image) -> Alpha:
        if self._config.refine:
            return upsample(alpha, small, image)
        height, width = image.shape[:2]
        return np.asarray(cv2.resize(alpha, (width, height)), np.float32)

    def close(self) -> None:
        """Free the device; a call afterwards is a BackendError. May be called more than once."""
        self._closed = True
        self._backend.close()

    def _require_open(self) -> None:
        if self._closed:
            raise BackendError("this Matter is closed and computes nothing more; make a new one")


def settle(alpha: Alpha) -> Alpha:
    """Make the last few hundredths at both ends exactly 0 and 1.

    A network is never quite sure; left so, the room would shine through the person by a grey level
    and later stages would take the whole picture for an edge.
    """
    low, high = SETTLED
    return np.asarray(np.clip((alpha - low) * np.float32(1 / (high - low)), 0, 1), np.float32)


def _check(image: Image) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, "dtype", type(image).__name__)
        raise ValueError(f"a picture must be a uint8 array, not {kind}")
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"a picture must have the shape (H, W, 3), not {image.shape}")
