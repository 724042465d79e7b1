"""The compositing of one frame as a torch module, for devices that compute the full frame.

The twin of `vidbg.compositing.foreground.composite_foreground`: the same steps on tensors. The
foreground's colours are estimated everywhere, and the soft pixels are chosen at the end. Change
both, then run `make graphs`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidbg.compositing.foreground import CLEAR, EMPTY, FAINT, NARROW, OPAQUE, WIDE
from vidbg.util.tensor_ops import blur, planes_of, resample, resize


class CompositingGraph(nn.Module):
    """Composites a frame by its alpha over a background.

    Args of the call:
        frame, background: float32 (1, H, W, 3), BGR, whole numbers in 0..255.
        alpha: float32 (1, 1, H, W) in [0, 1].
        rows, columns: float16 (h, H) and (W, w), as `scaling.shrinking` gives them.
    Returns:
        float32 (1, H, W, 3), BGR, whole numbers in 0..255.
    """

    def forward(
        self, frame: Tensor, alpha: Tensor, background: Tensor, rows: Tensor, columns: Tensor
    ) -> Tensor:
        observed = resample(frame, rows, columns).round()
        # In fp16 as well: tensorrt_rtx has no fp32 matrix product on Turing
        weight = torch.matmul(torch.matmul(rows, alpha.to(rows.dtype)), columns).float()
        means = layer_means(observed, weight)
        # Resize smoothly to half the frame's size, and by the nearest pixel from there.
        height, width = alpha.shape[2], alpha.shape[3]
        half = resize(means, (height // 2, width // 2)).round()
        full = functional.interpolate(half, (height, width), mode="nearest")
        foreground, old_background = full[:, :3], full[:, 3:]
        image, replaced = planes_of(frame), planes_of(background)
        explained = _mix(foreground, old_background, alpha)
        colours = (foreground + (image - explained) * alpha).round().clamp(0, 255)
        soft = torch.where(alpha > CLEAR, _mix(colours, replaced, alpha), replaced)
        result = torch.where(alpha >= OPAQUE, image, soft)
        return result.permute(0, 2, 3, 1)


def layer_means(observed: Tensor, weight: Tensor) -> Tensor:
    """Compute mean colours of foreground and background, whole numbers (1, 6, h, w)."""
    foreground = _wide_mean(observed, weight)
    background = _wide_mean(observed, 1 - weight)
    residual = observed - weight * foreground - (1 - weight) * background
    foreground = (foreground + weight * residual).clamp(0, 255)
    means = _narrow_mean(foreground, weight), _narrow_mean(background, 1 - weight)
    return torch.cat(means, 1).round().clamp(0, 255)


def _wide_mean(colours: Tensor, weight: Tensor) -> Tensor:
    size = (weight.shape[2], weight.shape[3])
    coarse = (size[0] // 2, size[1] // 2)
    weight = weight.square().square()
    total = blur(resize(weight, coarse), WIDE)
    mean = blur(resize(colours * weight, coarse), WIDE) / (total + EMPTY)
    return resize(mean, size)


def _narrow_mean(colours: Tensor, weight: Tensor) -> Tensor:
    weight = (weight + FAINT).square()
    return blur(colours * weight, NARROW) / blur(weight, NARROW)


def _mix(over: Tensor, under: Tensor, weight: Tensor) -> Tensor:
    return (over * weight + under * (1 - weight)).round()
