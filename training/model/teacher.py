"""A larger network's alpha in the targets: knowledge distillation.

A scene made by pasting people on a new background has an exact mask. Elsewhere masks are hand-made,
coarse, made by another network, or missing. There the teacher's alpha is mixed into the target
along the edges, in a share that depends on the set's masks; without a mask it is the target. The
teacher sees the scene larger than the student does, and before degradation, so it is right where
the student has to guess.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from training.data.batches import to_input
from vidbg.matting.backends import load_backend
from vidbg.matting.engines import CARDS, engine_file
from vidbg.matting.networks import NETWORKS, network_name

SHIPPED = "shipped"
"""Stands for the shipped ResNet-50 in place of a file; on a CPU it runs in INT8 by OpenVINO."""

_CHUNK = 16
"""Views in one forward pass, so that a batch of 64 fits on a GPU beside the training."""


class Teacher:
    """A network whose alpha is mixed into the targets.

    Args:
        weights: weights of the whole network, or SHIPPED.
        device: where training runs.
        autocast: returns a context in which the network runs in the training's precision.
    Raises:
        ConfigError: the file has no weights of a known network.
    """

    def __init__(
        self,
        weights: str,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self._autocast = autocast
        self._backend = None
        if weights == SHIPPED and device.type == "cpu":
            self._backend = load_backend("cpu", network="resnet50")
            return
        state = load_file(teacher_file(weights))
        self._network = NETWORKS[network_name(state)]()
        self._network.load_weights(state)
        self._network.requires_grad_(False).eval()
        self._network.to(device).to(memory_format=torch.channels_last)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Alpha, float (M, 1, H, W) in [0, 1], of uint8 (M, H, W, 3) images, BGR."""
        inputs = to_input(images)
        if self._backend is not None:
            alphas = [self._backend(one[None].contiguous().numpy()) for one in inputs]
            return torch.from_numpy(np.stack(alphas)).unsqueeze(1)
        with self._autocast():
            logits = [self._network.logits(part) for part in torch.split(inputs, _CHUNK)]
        return torch.cat(logits).float().sigmoid()


def teacher_file(weights: str) -> Path:
    """Return the weights file that the option's value stands for."""
    return (
        engine_file(CARDS["resnet50"].weights, ".safetensors")
        if weights == SHIPPED
        else Path(weights)
    )
