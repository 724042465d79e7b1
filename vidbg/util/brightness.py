"""How bright an image is: shared by what the network is shown and what viewers are shown."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

BRIGHT_SHARE, BRIGHT_LEVEL, MAX_GAIN = 0.97, 150, 4.0
"""An image of which this share is darker than this grey level is dark, and is brightened by at most
this factor."""


def counts_up_to(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Count the values, uint8 (h, w), that are at most 0, 1, ... 255. Exact up to 2^24 values."""
    return np.cumsum(cv2.calcHist([levels], [0], None, [256], [0, 256]), dtype=np.float32)


def bright_level(image: NDArray[np.uint8]) -> int:
    """Return the lowest grey level, 0 to 255, that BRIGHT_SHARE of the pixels do not exceed.

    Args:
        image: uint8 (h, w, 3), BGR, of at most 2^24 pixels.
    """
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    return int(np.searchsorted(counts_up_to(grey), BRIGHT_SHARE * grey.size))
