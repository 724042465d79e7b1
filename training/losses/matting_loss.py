"""What training minimises: agreement per pixel, per region, at edges and from frame to frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = 4
"""Of the Laplacian pyramid."""

GRADIENT_SCALES = 3

WEIGHTS = {"bce": 1.0, "l1": 1.0, "region": 0.5, "edge": 1.0, "gradient": 0.0, "temporal": 1.0}
"""Of the terms of the loss, unless given otherwise."""


def matting_loss(
    logits: Tensor,
    target: Tensor,
    weights: Mapping[str, float] = WEIGHTS,
    fine: Tensor | None = None,
) -> dict[str, Tensor]:
    """The weighted terms of the loss on single frames; their sum is minimised.

    Args:
        logits: float (N, 1, H, W), the network's output before the sigmoid.
        target: float (N, 1, H, W) in [0, 1].
        weights: of the terms; those of weight 0 are left out.
        fine: bool (N,), whose masks are right to the pixel; the others do not count in `edge` and
            `gradient`. None: all are.
    Returns:
        `bce` binary cross-entropy with soft targets; `l1` mean absolute error; `region` one minus
        the soft Jaccard index; `edge` the distance of the Laplacian pyramids; `gradient`
        that of the differences of neighbours. Each is a mean over pixels or pictures, weighted.
    """
    logits = logits.float()
    alpha = logits.sigmoid()
    error = alpha - target
    if fine is not None:
        error = error * fine[:, None, None, None]
    terms: dict[str, Callable[[], Tensor]] = {
        "bce": lambda: functional.binary_cross_entropy_with_logits(logits, target),
        "l1": lambda: functional.l1_loss(alpha, target),
        "region": lambda: soft_jaccard_loss(alpha, target),
        "edge": lambda: laplacian_loss(error),
        "gradient": lambda: gradient_loss(error),
    }
    return {name: weights[name] * term() for name, term in terms.items() if weights[name]}


def soft_jaccard_loss(alpha: Tensor, target: Tensor) -> Tensor:
    """1 - sum(min(a, g)) / sum(max(a, g)), per picture, then averaged.

    The min/max form is 0 for equal soft mattes, which the product form is not. A hundredth of the
    picture is added above and below, so that a speck in an empty picture is no total loss.
    """
    slack = 0.01 * target[0].numel()
    both = alpha.minimum(target).sum(dim=(1, 2, 3))
    either = alpha.maximum(target).sum(dim=(1, 2, 3))
    return (1 - (both + slack) / (either + slack)).mean()


def laplacian_loss(error: Tensor) -> Tensor:
    """L1 between the bands of two Laplacian pyramids, coarser bands weighing twice as much each.

    After Hou and Liu, Context-Aware Image Matting, 2019; with means of 2 x 2 pixels for the
    smaller levels. The pyramid is linear, so that of the difference is taken.

    Args:
        error: float (N, 1, H, W), alpha less the truth.
    """
    total = error.new_zeros(())
    for level in range(LEVELS):
        if min(error.shape[2:]) < 2:
            break
        coarse = functional.avg_pool2d(error, 2, ceil_mode=True)
        size = error.shape[2:]
        smooth = functional.interpolate(coarse, size, mode="bilinear", align_corners=False)
        total = total + 2**level * (error - smooth).abs().mean()
        error = coarse
    return total


def gradient_loss(error: Tensor) -> Tensor:
    """L1 between the differences of neighbours, down and across, at full, half and quarter size.

    Args:
        error: float (N, 1, H, W), alpha less the truth.
    """
    total = error.new_zeros(())
    for _ in range(GRADIENT_SCALES):
        if min(error.shape[2:]) < 2:
            break
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        error = functional.avg_pool2d(error, 2)
    return total


def temporal_loss(alpha: Tensor, before: Tensor, target: Tensor, target_before: Tensor) -> Tensor:
    """Mean distance between the change of alpha and that of the truth, from frame to frame.

    Args:
        alpha, before: float (N, 1, H, W), of a frame and of the frame before.
        target, target_before: their true alphas.
    """
    return torch.abs((alpha - before) - (target - target_before)).mean()
