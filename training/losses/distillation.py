"""Targets made of a teacher's alpha and the masks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

BAND = 0.02
"""Half width of the band along edges in which the teacher counts, as a share of the height."""


def mix_targets(truth: Tensor, taught: Tensor, trust: Tensor) -> Tensor:
    """Mix true and taught alpha.

    A trust of 1 stands for images without a mask: the target is the teacher's alpha. Otherwise the
    mask decides what is person, and the teacher has its share only in a band along the mask's edge,
    where masks are hard or rough. It has no share around regions that the two see differently, such
    as an object in front of a person: a mean would teach half-transparent people there.

    Args:
        truth, taught: float (M, 1, H, W) in [0, 1].
        trust: float (M,) in [0, 1].
    Returns:
        float (M, 1, H, W); a new tensor.
    """
    side = 2 * round(BAND * truth.shape[2]) + 1
    band = (_widest(truth, side) + _widest(-truth, side)) > 0.5
    apart = ((taught - truth).abs() > 0.5).to(truth.dtype)
    regions = _widest(-_widest(-apart, 3), side + 2) > 0.5  # up to 2 pixels: where the edge is
    share = trust[:, None, None, None]
    return torch.lerp(truth, taught, torch.where(share < 1, share * (band & ~regions), share))


def _widest(values: Tensor, side: int) -> Tensor:
    return functional.max_pool2d(values, side, stride=1, padding=side // 2)


def shrink_alpha(alpha: Tensor, content: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Crop alpha, float (M, 1, H, W), to its content and resize that to (height, width)."""
    height, width = content
    visible = alpha[:, :, :height, :width]
    if tuple(visible.shape[2:]) == size:
        return visible
    return functional.interpolate(
        visible, size, mode="bilinear", align_corners=False, antialias=True
    )
