"""Alpha of single pictures by a network, as the program computes it but without temporal state."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.frame import Alpha, Image
from vidbg.matting.preprocess import content, network_input, plan_geometry, shrink

Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A network's input, float32 (1, 4, h, w), to its alpha, float32 (h, w)."""


def predict(infer: Infer, image: Image, pixels: int) -> Alpha:
    """Alpha at the picture's size, resized bilinearly from a network input of `pixels` pixels."""
    height, width = image.shape[:2]
    geometry = plan_geometry(height, width, pixels)
    small = infer(network_input(shrink(image, geometry), None, geometry))
    visible = np.ascontiguousarray(content(small, geometry))
    return np.asarray(cv2.resize(visible, (width, height)), np.float32)
