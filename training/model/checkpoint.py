"""Weights and training state on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vidbg.matting.network import AlphaNetwork

_IMAGENET_STEMS = {"conv1.weight", "_conv_stem.weight"}
"""The first convolution of a public ResNet-50 and of a public EfficientNet-Lite0."""


def shipped_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights as they ship: convolutions in fp16, batch norms in fp32.

    Some running variances exceed the range of fp16. torch's batch counters are left out.
    """
    norms = {
        f"{name}.{key}"
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for key in module.state_dict()
    }
    return {
        name: (value.float() if name in norms else value.half()).contiguous()
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def save_weights(network: nn.Module, path: Path) -> None:
    _replace(path, lambda temporary: save_file(shipped_weights(network), temporary))


def load_init(network: AlphaNetwork, path: Path) -> str:
    """Load weights of the whole network, or ImageNet weights into its encoder.

    Returns:
        Description of what was loaded, for the log.
    """
    weights = load_file(path)
    if _IMAGENET_STEMS & weights.keys():
        network.encoder.load_imagenet(weights)
        return f"encoder from {path.name}"
    network.load_weights(weights)
    return f"whole network from {path.name}"


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    _replace(path, lambda temporary: torch.save(dict(state), temporary))


def load_state(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _replace(path: Path, write: Any) -> None:
    """Write beside the file and rename, so that an interruption leaves the old file intact."""
    temporary = path.with_name(path.name + ".part")
    write(temporary)
    temporary.replace(path)
