"""Batch norms fold into their convolutions without changing what a network computes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from vidbg.matting.backends.batch_norm import fold_batch_norms  # noqa: E402
from vidbg.matting.networks import NETWORKS  # noqa: E402


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_network_computes_the_same(name: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name]().eval()  # type: ignore[index]
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # as after training, not the identity
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.2, 0.2)
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    batch = torch.randn(1, 4, 64, 96)

    with torch.inference_mode():
        expected = network.logits(batch)
        fold_batch_norms(network)
        folded = network.logits(batch)

    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    scale = float(expected.abs().max())
    assert float((folded - expected).abs().max()) < 1e-4 * scale


def test_a_batch_norm_without_its_convolution_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)).eval()
    with pytest.raises(ValueError, match="the batch norm 2 does not follow its convolution"):
        fold_batch_norms(network)
