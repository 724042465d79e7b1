"""Backend that can switch between networks on one device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vidbg.matting.backends import Backend
from vidbg.matting.backends.delegating import DelegatingBackend
from vidbg.matting.engines import NetworkName


class SwitchableBackend(DelegatingBackend):
    """Backend that runs one of several networks; others are opened when first prepared.

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

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.chosen(batch)

    def prepare_network(self, network: NetworkName, height: int, width: int) -> None:
        """Open a network and get it ready for inputs of this size. May be called during a call.

        Raises:
            BackendError: it cannot be opened, or the device failed.
        """
        if network not in self._backends:
            self._backends[network] = self._open(network)
        self._backends[network].prepare(height, width)

    def use(self, network: NetworkName) -> None:
        """Switch to a prepared network with the next call."""
        if network not in self._backends:
            raise ValueError(f"the network {network} was never prepared")
        self.network, self.chosen = network, self._backends[network]

    def close(self) -> None:
        for backend in self._backends.values():
            backend.close()
