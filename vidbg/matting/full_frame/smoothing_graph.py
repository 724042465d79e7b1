"""Temporal smoothing on a GPU.

The twin of `vidbg.matting.temporal`, whose constants it uses. Change both, then run `make graphs`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from vidbg.matting import temporal
from vidbg.matting.full_frame.upsampling_graph import grey
from vidbg.util.tensor_ops import blur

NOISE_COUNTED = math.ceil(temporal.MAX_NOISE_LEVELS - temporal.NOISE_LEVELS)
"""Changes counted to find the median: a larger median means maximum noise in any case."""


def blurred_luma(small: Tensor) -> Tensor:
    """Return the grey levels that `TemporalFilter.look` compares, whole numbers (1, 1, h, w)."""
    return blur(grey(small).round(), 3).round()


def is_cut(change: Tensor) -> Tensor:
    """Twin of what `temporal` compares with CUT_CHANGE and CUT_SHARE: 1 at a scene cut, else 0."""
    share = (change > temporal.CUT_CHANGE).float().mean()
    return (share > temporal.CUT_SHARE).float()


def stillness(change: Tensor) -> Tensor:
    """Twin of `temporal.stillness`, for changes that are whole numbers.

    It sorts nothing: it counts how many changes are at most 0, 1, 2 and 3, which is enough to know
    every median up to the one from which on noise is taken to be at its maximum.
    """
    count = torch.ones_like(change).sum()
    middles = torch.floor((count - 1) / 2), torch.floor(count / 2)
    twice_median = torch.zeros_like(count)
    for level in range(NOISE_COUNTED):
        below = (change <= level).float().sum()
        twice_median = twice_median + sum((below <= middle).float() for middle in middles)
    noise = (temporal.NOISE_LEVELS + twice_median).clamp(max=temporal.MAX_NOISE_LEVELS)
    side = temporal.MOTION_REACH
    reach = functional.max_pool2d(change, side, stride=1, padding=side // 2)
    return ((noise + temporal.MOTION_LEVELS - reach) / temporal.MOTION_LEVELS).clamp(0, 1)
