"""vidbg with its own command line, but a constant alpha in place of the network.

A network takes seconds a frame on an emulated processor; all else is vidbg as it is installed.
"""

from __future__ import annotations

import faulthandler
import signal
import sys

import numpy as np
from numpy.typing import NDArray

from vidbg.matting import backends
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.engines import NetworkName

_NETWORKS = {"openvino", "torch", "tensorrt"}


def left_half(batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Alpha of a person who fills the left half of the picture."""
    *_, height, width = batch.shape
    alpha = np.zeros((height, width), np.float32)
    alpha[:, : width // 2] = 1
    return alpha


def load_scripted(
    device: str,  # noqa: ARG001  (the signature of what it replaces)
    precision: str,  # noqa: ARG001
    network: NetworkName,  # noqa: ARG001
    threads: int | None,  # noqa: ARG001
) -> backends.Backend:
    return ConstantBackend(left_half)


def main() -> None:
    faulthandler.register(signal.SIGUSR1)  # tells where it hangs, should a check fail
    backends.open_device = load_scripted
    from vidbg.cli.app import main as vidbg

    try:
        vidbg()
    finally:
        if loaded := _NETWORKS & sys.modules.keys():
            print(f"scripted: imported {sorted(loaded)}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
