"""The networks that ship, by name, and which one a file of weights belongs to."""

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
    """The network that has these parameters, by its name in NETWORKS.

    Raises:
        ConfigError: none of them has.
    """
    for parameter in parameters:
        if parameter in _FIRST_CONVOLUTION:
            return _FIRST_CONVOLUTION[parameter]
    raise ConfigError(f"these are weights of no network that vidbg has ({', '.join(NETWORKS)})")
