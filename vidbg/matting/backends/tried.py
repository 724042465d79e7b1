"""Backend that tries the next device or precision if one fails at its first image."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidbg.errors import BackendError
from vidbg.matting.backends.alpha_checks import trusted
from vidbg.matting.backends.delegating import DelegatingBackend

if TYPE_CHECKING:
    from vidbg.matting.backends import Backend

logger = logging.getLogger(__name__)

Refusals = list[tuple[str, Exception]]
"""Names of devices and the errors that ruled them out."""


class TriedBackend(DelegatingBackend):
    """Backend that uses the first of several backends that can compute an image.

    Some libraries open a device and compile for it, but fail when they compute, for example on an
    old processor or with too little memory. Once a backend has computed an image, it is kept.

    Args:
        openings: yields each device's name and its opened backend, in order.
        refusals: list of failures; both `openings` and this object add to it.
    Raises:
        BackendError: none of them opens.
        ConfigError: the only device does not support the precision.

    Attributes:
        chosen: the current backend.
    """

    def __init__(self, openings: Iterator[tuple[str, Backend]], refusals: Refusals) -> None:
        self._openings, self._refusals = openings, refusals
        self._works = False
        self._device, self.chosen = self._open_next()

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        while not self._works:
            try:
                alpha = trusted(self.chosen(batch), batch)
            except BackendError as error:
                self._refusals.append((self._device, error))
                self.chosen.close()
                self._device, self.chosen = self._open_next()
                logger.warning("%s; %s, %s takes its place", error, self.name, self.precision)
            else:
                self._works = True
                return alpha
        return self.chosen(batch)

    def close(self) -> None:
        self._works = True  # later calls do not try another
        self.chosen.close()

    def _open_next(self) -> tuple[str, Backend]:
        for opened in self._openings:
            return opened
        raise no_backend(self._refusals)


def no_backend(refusals: Refusals) -> Exception:
    """Return the exception to raise when every device was refused."""
    if len(refusals) == 1:
        return refusals[0][1]
    reasons = "; ".join(f"{device}: {error}" for device, error in refusals)
    return BackendError(f"no backend can be used here: {reasons}")
