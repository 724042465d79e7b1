"""What training minimises: agreement per pixel, per region and at edges."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

EDGE_SCALES = 3


def matting_loss(logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    """The terms of the loss; their sum is minimised.

    Args:
        logits: float (N, 1, H, W), the network's output before the sigmoid.
        target: float (N, 1, H, W) in [0, 1].
    Returns:
        `bce` binary cross-entropy with soft targets; `l1` mean absolute error; `region` one minus
        the soft Jaccard index; `edge` the L1 distance of the gradients at three scales. Each is a
        mean over pixels or pictures, weighted.
    """
    logits = logits.float()
    alpha = logits.sigmoid()
    return {
        "bce": functional.binary_cross_entropy_with_logits(logits, target),
        "l1": functional.l1_loss(alpha, target),
        "region": 0.5 * soft_jaccard_loss(alpha, target),
        "edge": 2.0 * edge_loss(alpha, target),
    }


def soft_jaccard_loss(alpha: Tensor, target: Tensor) -> Tensor:
    """1 - sum(min(a, g)) / sum(max(a, g)), per picture, then averaged.

    The min/max form is 0 for equal soft mattes, which the product form is not. A hundredth of the
    picture is added above and below, so that a speck in an empty picture is no total loss.
    """
    slack = 0.01 * target[0].numel()
    both = alpha.minimum(target).sum(dim=(1, 2, 3))
    either = alpha.maximum(target).sum(dim=(1, 2, 3))
    return (1 - (both + slack) / (either + slack)).mean()


def edge_loss(alpha: Tensor, target: Tensor) -> Tensor:
    """L1 between horizontal and vertical differences, at full, half and quarter size."""
    total = alpha.new_zeros(())
    for _ in range(EDGE_SCALES):
        error = alpha - target
        total = total + error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        alpha, target = functional.avg_pool2d(alpha, 2), functional.avg_pool2d(target, 2)
    return total
