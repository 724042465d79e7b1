"""Checks of what every network must do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from training.model.checkpoint import load_init, save_weights
from vidbg.matting.network import AlphaNetwork


def check_alpha(network: AlphaNetwork, height: int, width: int) -> None:
    """Compare alpha's size with the input's, and its range with [0, 1]."""
    with torch.inference_mode():
        alpha = network(torch.randn(2, 4, height, width))
    assert alpha.shape == (2, 1, height, width)
    assert 0 <= float(alpha.min()) <= float(alpha.max()) <= 1


def check_learning(
    network: AlphaNetwork,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    *,
    rate: float,
    steps: int,
    share: float,
) -> Tensor:
    """Train on four pairs until the loss falls below a share of the first one.

    Returns:
        float (4, 4, 64, 64), the images.
    """
    masks = torch.zeros(4, 1, 64, 64)
    for index in range(4):
        masks[index, :, 16:48, 8 * index : 8 * index + 24] = 1
    images = torch.zeros(4, 4, 64, 64)
    images[:, :3] = masks * 2 - 1
    optimizer = torch.optim.AdamW((p for p in network.parameters() if p.requires_grad), rate)
    losses = []
    for _ in range(steps):
        loss = loss_of(network.logits(images), masks)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < share * losses[0]
    return images


def check_disk(network: AlphaNetwork, images: Tensor, folder: Path) -> None:
    """Save a network and load its weights into a new one, which must compute the same.

    Convolutions are stored in fp16, with 11 bits of mantissa.
    """
    save_weights(network, folder / "weights.safetensors")
    again = type(network)()
    assert load_init(again, folder / "weights.safetensors").startswith("whole network")
    with torch.inference_mode():
        before, after = network.eval()(images), again.eval()(images)
    torch.testing.assert_close(before, after, atol=0.02, rtol=0)
