"""What a picture shows: the camera's test picture on its left, the background on its right.

In the guest the alpha is 1 on the left half and 0 on the right, so vivid's colour bars stay on the
left and must never be seen on the right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from vidbg.frame import Image

SIZE = (320, 180)
"""Width and height that the checks ask the camera for; other pictures are compared at this size."""

BACKGROUND = "#c06020"
BACKGROUND_BGR = (0x20, 0x60, 0xC0)
REFERENCE = Path("/run/scratch/camera.png")
"""What vivid gives, read without vidbg."""

NEAR = 10.0
"""Mean difference in grey levels that limited range, 4:2:0 and scaling may make."""

LEFT, RIGHT = slice(0, 120), slice(220, 320)  # leaves out the matte's soft edge

Side = Literal["camera", "background", "other"]


def sides(image: Image, reference: Image) -> tuple[Side, Side]:
    """Return what the left and the right part of an image show."""
    small = scaled(image)
    return _shows(small[:, LEFT], reference[:, LEFT]), _shows(small[:, RIGHT], reference[:, RIGHT])


def scaled(image: Image) -> Image:
    return np.asarray(cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def _shows(part: Image, camera: Image) -> Side:
    if _difference(part, np.array(BACKGROUND_BGR)) < NEAR:
        return "background"
    return "camera" if _difference(part, camera) < NEAR else "other"


def _difference(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def load(file: Path) -> Image:
    return np.asarray(cv2.imread(str(file)), np.uint8)
