"""The shipped networks by name, and which of them a weights file belongs to."""

from __future__ import annotations

from collections.abc import Iterable

from vidbg.errors import ConfigError
from vidbg.matting.engines import NetworkName
from vidbg.matting.light_network import LightNetwork
from vidbg.matting.network import AlphaNetwork, MattingNetwork

NETWORKS: dict[NetworkName, type[AlphaNetwork]] = {
    "resnet50": MattingNetwork,
    "light": LightNetwork,
}

_FIRST_CONVOLUTION: dict[str, NetworkName] = {
    "encoder.conv1.weight": "resnet50",
    "encoder.stem.0.weight": "light",
}


def network_name(parameters: Iterable[str]) -> NetworkName:
    """Return the name in NETWORKS of the network that has these parameters.

    Raises:
        ConfigError: no network has them.
    """
    for parameter in parameters:
        if parameter in _FIRST_CONVOLUTION:
            return _FIRST_CONVOLUTION[parameter]
    raise ConfigError(f"these are weights of no network that vidbg has ({', '.join(NETWORKS)})")
