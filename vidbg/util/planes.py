"""Pixels of FFmpeg's frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def plane_samples(plane: Any, kind: type[np.uint8] | type[np.uint16]) -> NDArray[Any]:
    """Return the samples of a PyAV plane that holds one component.

    Args:
        kind: of the samples, which FFmpeg stores in two bytes if they have more than 8 bits.
    Returns:
        (height, width), a view without the padding of the rows; writing to it changes the frame.
    """
    rows = np.frombuffer(plane, kind).reshape(plane.height, -1)
    return rows[:, : plane.width]
