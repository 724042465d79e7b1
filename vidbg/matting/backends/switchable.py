"""Backend that can switch between networks on one device."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vidbg.matting.backends import Backend
from vidbg.matting.backends.delegating import DelegatingBackend
from vidbg.matting.engines import NetworkName
from vidbg.platform.memory import return_freed_memory

UNUSED_S = 60.0
"""How long another network stays open that is not used."""


class SwitchableBackend(DelegatingBackend):
    """Backend that runs one of several networks; others are opened when prepared.

    Those that were not used for UNUSED_S are closed, to be opened again when they are prepared.

    Args:
        network: the initial network.
        backend: the backend that runs it.
        open_backend: opens another network on the same device.

    Attributes:
        network: the current network.
    """

    def __init__(
        self,
        network: NetworkName,
        backend: Backend,
        open_backend: Callable[[NetworkName], Backend],
    ) -> None:
        self.network, self.chosen = network, backend
        self._backends = {network: backend}
        self._open = open_backend
        self._used_s = {network: time.monotonic()}
        self._preparing = threading.Lock()

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(self._backends) > 1 and self._preparing.acquire(blocking=False):
            try:
                self._close_unused(time.monotonic())
            finally:
                self._preparing.release()
        return self.chosen(batch)

    def _close_unused(self, now: float) -> None:
        self._used_s[self.network] = now
        for network in self._backends.keys() - {self.network}:
            if now - self._used_s[network] > UNUSED_S:
                self._backends.pop(network).close()
                return_freed_memory()

    def prepare_network(self, network: NetworkName, height: int, width: int) -> None:
        """Open a network and get it ready for inputs of this size. May be called during a call.

        Raises:
            BackendError: it cannot be opened, or the device failed.
        """
        with self._preparing:
            if network not in self._backends:
                self._backends[network] = self._open(network)
            self._used_s[network] = time.monotonic()
            self._backends[network].prepare(height, width)
            self._used_s[network] = time.monotonic()

    def use(self, network: NetworkName) -> None:
        """Switch to a prepared network with the next call."""
        if network not in self._backends:
            raise ValueError(f"the network {network} was never prepared")
        self.network, self.chosen = network, self._backends[network]

    def close(self) -> None:
        for backend in list(self._backends.values()):
            backend.close()
