"""Backend for tests and examples: a constant alpha, or the result of a function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


class ConstantBackend:
    """Backend that returns an alpha without a network.

    Args:
        alpha: the value of every pixel, or a function from the input, float32 (1, 4, h, w), to
            alpha, float32 (h, w).
    """

    name = "constant"
    precision = "fp32"

    def __init__(
        self, alpha: float | Callable[[NDArray[np.float32]], NDArray[np.float32]] = 1.0
    ) -> None:
        self._alpha = alpha

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        if callable(self._alpha):
            return self._alpha(batch)
        return np.full(batch.shape[2:], self._alpha, np.float32)

    def ready(self, height: int, width: int) -> bool:  # noqa: ARG002  (every backend's)
        return True

    def prepare(self, height: int, width: int) -> None:
        """Do nothing: any size is ready."""

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
