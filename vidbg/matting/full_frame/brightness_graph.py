"""Brightening of dark images on a GPU.

The twin of `vidbg.matting.preprocess.apply_gain`, with the constants of `vidbg.util.brightness`.
Change both, then run `make graphs`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vidbg.matting.full_frame.upsampling_graph import grey
from vidbg.util.brightness import BRIGHT_LEVEL, BRIGHT_SHARE, MAX_GAIN


def apply_gain(padded: Tensor, small: Tensor) -> Tensor:
    """Twin of `preprocess.apply_gain`.

    Args:
        padded: BGR planes (1, 3, h, w), 0..255, of the network's input.
        small: the part of it that the frame fills, which the gain is computed from.
    """
    gain = (BRIGHT_LEVEL / bright_level(grey(small).round()).clamp(min=1)).clamp(1, MAX_GAIN)
    return (padded * gain).round().clamp(max=255)


def bright_level(levels: Tensor) -> Tensor:
    """Find the lowest level in 0..255 that BRIGHT_SHARE of the whole numbers do not exceed; (1,).

    Found by bisection: eight passes over a small image instead of sorting it.
    """
    level = torch.zeros_like(levels[0, 0, 0, :1])
    for step in (128, 64, 32, 16, 8, 4, 2, 1):
        share = (levels <= level + (step - 1)).float().mean()
        level = level + step * (share < BRIGHT_SHARE).float()
    return level
