"""The loss of single frames and clips: per pixel, per region, at edges and between frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = 4
"""Levels of the Laplacian pyramid."""

GRADIENT_SCALES = 3

WEIGHTS = {"bce": 1.0, "l1": 1.0, "region": 0.5, "edge": 1.0, "gradient": 0.0, "temporal": 1.0}
"""Default weights of the terms."""


def matting_loss(
    logits: Tensor,
    target: Tensor,
    weights: Mapping[str, float] = WEIGHTS,
    fine: Tensor | None = None,
) -> dict[str, Tensor]:
    """Compute the weighted terms of the loss on single frames; training minimises their sum.

    Args:
        logits: float (N, 1, H, W), the network's output before the sigmoid.
        target: float (N, 1, H, W) in [0, 1].
        weights: of the terms; a term with weight 0 is left out.
        fine: bool (N,), whether the mask is exact at the edge; others do not count in `edge` and
            `gradient`. None if all are exact.
    Returns:
        `bce` binary cross-entropy with soft targets; `l1` mean absolute error; `region` one minus
        the soft Jaccard index; `edge` the distance of the Laplacian pyramids; `gradient`
        that of the differences between neighbours. Each is a mean over pixels or images.
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
    """Compute 1 - sum(min(a, g)) / sum(max(a, g)) for each image, and return the mean.

    The min/max form is 0 for equal soft mattes, the product form is not. A hundredth of the image
    is added to both sums, so that a speck in an empty image does not cost the full loss.
    """
    slack = 0.01 * target[0].numel()
    both = alpha.minimum(target).sum(dim=(1, 2, 3))
    either = alpha.maximum(target).sum(dim=(1, 2, 3))
    return (1 - (both + slack) / (either + slack)).mean()


def laplacian_loss(error: Tensor) -> Tensor:
    """Compute the L1 distance of Laplacian pyramids; each coarser band weighs twice as much.

    After Hou and Liu, Context-Aware Image Matting, 2019, with means of 2 x 2 pixels for the
    smaller levels. The pyramid is linear, so the pyramid of the error is enough.

    Args:
        error: float (N, 1, H, W), alpha minus truth.
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
    """Compute the L1 distance of differences between neighbours at full, half and quarter size.

    Args:
        error: float (N, 1, H, W), alpha minus truth.
    """
    total = error.new_zeros(())
    for _ in range(GRADIENT_SCALES):
        if min(error.shape[2:]) < 2:
            break
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        error = functional.avg_pool2d(error, 2)
    return total


def temporal_loss(alpha: Tensor, before: Tensor, target: Tensor, target_before: Tensor) -> Tensor:
    """Compute the mean distance between the changes of alpha and truth from frame to frame.

    Args:
        alpha, before: float (N, 1, H, W), of a frame and of the previous frame.
        target, target_before: their true alphas.
    """
    return torch.abs((alpha - before) - (target - target_before)).mean()
