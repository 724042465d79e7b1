"""Alpha of single images: the network's own, and as the program serves it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.config import MattingConfig
from vidbg.frame import Alpha, Image
from vidbg.matting.backends import Backend
from vidbg.matting.preprocess import content, network_input, plan_geometry, shrink
from vidbg.matting.video_matting import VideoMatting

Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A network's input, float32 (1, 4, h, w), to its alpha, float32 (h, w)."""

Predict = Callable[[Image], Alpha]
"""An image, uint8 (H, W, 3) BGR, to its alpha, float32 (H, W) in [0, 1]."""


class Remembering:
    """Backend that computes each input once, for bare alpha, served alpha and sheets.

    It keeps every result: 4 bytes per pixel of the network's input.
    """

    def __init__(self, backend: Backend) -> None:
        self.name, self.precision = backend.name, backend.precision
        self._backend = backend
        self._answers: dict[tuple[tuple[int, ...], bytes], Alpha] = {}

    def __call__(self, batch: NDArray[np.float32]) -> Alpha:
        key = batch.shape, hashlib.blake2b(batch.tobytes()).digest()
        if key not in self._answers:
            self._answers[key] = self._backend(batch)
        return self._answers[key].copy()

    def ready(self, height: int, width: int) -> bool:
        return self._backend.ready(height, width)

    def prepare(self, height: int, width: int) -> None:
        self._backend.prepare(height, width)

    def close(self) -> None:
        self._answers.clear()
        self._backend.close()


def predict(infer: Infer, image: Image, pixels: int) -> Alpha:
    """Compute alpha with a network input of `pixels` pixels, and resize it bilinearly."""
    height, width = image.shape[:2]
    geometry = plan_geometry(height, width, pixels)
    small = infer(network_input(shrink(image, geometry), None, geometry))
    visible = np.ascontiguousarray(content(small, geometry))
    return np.asarray(cv2.resize(visible, (width, height)), np.float32)


def bare(infer: Infer, pixels: int) -> Predict:
    """Return a function to the network's alpha, resized bilinearly."""
    return lambda image: predict(infer, image, pixels)


def served(backend: Backend, pixels: int) -> Predict:
    """Return a function to the program's alpha of single images. The caller owns the backend."""
    matter = VideoMatting(config=MattingConfig(network_pixels=pixels), backend=backend)

    def alpha_of(image: Image) -> Alpha:
        matter.reset()
        return matter(image)

    return alpha_of
