"""The network: sizes, weights by torchvision's names, v1 strides, that it learns and exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from network_checks import check_alpha, check_disk, check_learning  # noqa: E402
from torchvision.models import resnet50  # noqa: E402

from training.losses.matting_loss import matting_loss  # noqa: E402
from vidbg.matting.network import MattingNetwork  # noqa: E402


@pytest.fixture(scope="module")
def network() -> MattingNetwork:
    torch.manual_seed(0)
    return MattingNetwork().eval()


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (160, 32)])
def test_alpha_has_the_inputs_size_and_range(
    network: MattingNetwork, size: tuple[int, int]
) -> None:
    check_alpha(network, *size)


def test_about_27_million_parameters(network: MattingNetwork) -> None:
    assert 26e6 < sum(p.numel() for p in network.parameters()) < 30e6


def test_torchvisions_weights_load_unrenamed() -> None:
    reference = resnet50(weights=None).eval()
    network = MattingNetwork()
    network.encoder.load_imagenet(reference.state_dict())
    theirs, ours = reference.state_dict(), network.encoder.state_dict()
    assert {name for name in theirs if not name.startswith("fc.")} == set(ours)
    torch.testing.assert_close(ours["conv1.weight"][:, :3], theirs["conv1.weight"])
    assert not ours["conv1.weight"][:, 3].any()
    torch.testing.assert_close(ours["layer4.2.conv3.weight"], theirs["layer4.2.conv3.weight"])


def test_v1_strides(network: MattingNetwork) -> None:
    for name in ("layer2", "layer3", "layer4"):
        first = getattr(network.encoder, name)[0]
        assert first.conv1.stride == (2, 2)
        assert first.conv2.stride == (1, 1)


def test_four_pairs_are_learnt_and_survive_the_disk(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = MattingNetwork()
    network.encoder.requires_grad_(False)  # the decoder is enough for four images, and faster

    def loss_of(logits: Any, masks: Any) -> Any:
        return torch.stack(list(matting_loss(logits, masks).values())).sum()

    images = check_learning(network, loss_of, rate=3e-3, steps=15, share=0.35)
    check_disk(network, images, tmp_path)
