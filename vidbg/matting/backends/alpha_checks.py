"""Checks of network outputs: a failing device may return anything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidbg.errors import BackendError
from vidbg.frame import Alpha

if TYPE_CHECKING:
    from vidbg.matting.backends import Backend


def check_alpha(alpha: Alpha) -> None:
    """Check that all values are numbers in [0, 1].

    Raises:
        BackendError: they are not; the message gives the range of the values.
    """
    minimum, maximum = float(alpha.min()), float(alpha.max())
    if not (minimum >= -0.01 and maximum <= 1.01):  # NaN also fails
        raise BackendError(f"the network gave values from {minimum:g} to {maximum:g}, not 0 to 1")


def trusted(alpha: Alpha, batch: NDArray[np.float32]) -> Alpha:
    """Return what a backend computed for a batch, after checking that it is an alpha.

    Raises:
        BackendError: it is not an alpha; the message says what it is.
    """
    if getattr(alpha, "shape", None) != batch.shape[2:]:
        shape = getattr(alpha, "shape", type(alpha).__name__)
        raise BackendError(f"the network gave {shape}, not an alpha of {batch.shape[2:]}")
    check_alpha(alpha)
    return alpha


def try_out(backend: Backend, height: int, width: int) -> float:
    """Run the network on an empty image of its input size; returns the seconds it took.

    Raises:
        BackendError: it failed, or its output is not an alpha.
    """
    batch = np.zeros((1, 4, height, width), np.float32)
    start = time.perf_counter()
    trusted(backend(batch), batch)
    return time.perf_counter() - start
