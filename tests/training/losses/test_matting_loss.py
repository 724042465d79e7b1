"""The terms of the loss."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from torch import Tensor  # noqa: E402

from training.losses.matting_loss import (  # noqa: E402
    WEIGHTS,
    gradient_loss,
    laplacian_loss,
    matting_loss,
    soft_jaccard_loss,
    temporal_loss,
)


def test_losses_vanish_at_the_truth_and_grow_with_error() -> None:
    target = torch.zeros(2, 1, 32, 32)
    target[:, :, 8:24, 8:24] = 1
    right, wrong = (target * 2 - 1) * 20, (0.5 - target) * 4
    good = sum(float(v) for v in matting_loss(right, target).values())
    bad = sum(float(v) for v in matting_loss(wrong, target).values())
    assert good < 1e-3 < bad
    soft = target * 0.5
    assert float(soft_jaccard_loss(soft, soft)) == 0
    assert float(laplacian_loss(soft - soft)) == 0
    assert float(gradient_loss(soft - soft)) == 0


def test_a_term_of_weight_zero_is_left_out() -> None:
    terms = matting_loss(torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8), WEIGHTS | {"l1": 0.0})
    assert set(terms) == {"bce", "region", "edge"}


@pytest.mark.parametrize("loss", [laplacian_loss, gradient_loss])
def test_the_edge_losses_see_edges_and_not_levels(
    loss: Callable[[Tensor], Tensor],
) -> None:
    level, edge = torch.full((1, 1, 32, 32), 0.5), torch.zeros(1, 1, 32, 32)
    edge[..., 16:] = 1
    assert float(loss(level)) == pytest.approx(0, abs=1e-6)
    assert float(loss(edge)) > 0.02


def test_coarse_masks_do_not_count_at_edges() -> None:
    target = torch.zeros(2, 1, 32, 32)
    target[..., 16:] = 1
    only_edge = WEIGHTS | {"bce": 0.0, "l1": 0.0, "region": 0.0}
    flat = torch.zeros(2, 1, 32, 32)
    both = float(matting_loss(flat, target, only_edge)["edge"])
    one = float(matting_loss(flat, target, only_edge, torch.tensor([True, False]))["edge"])
    assert one == pytest.approx(both / 2)


def test_the_temporal_loss_ignores_true_changes() -> None:
    first, second = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    assert float(temporal_loss(second, first, second, first)) == 0
    assert float(temporal_loss(second, first, first, first)) == 1
