"""The baseline network: sizes, what it ignores, public weights, that it learns."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from network_checks import check_alpha, check_disk, check_learning  # noqa: E402
from torchvision.models import resnet50  # noqa: E402

from training.model.seed_network import SeedNetwork  # noqa: E402

functional = torch.nn.functional


@pytest.fixture(scope="module")
def network() -> SeedNetwork:
    torch.manual_seed(0)
    return SeedNetwork().eval()


@pytest.mark.parametrize("size", [(16, 16), (64, 96), (160, 48)])
def test_alpha_has_the_inputs_size_and_range(network: SeedNetwork, size: tuple[int, int]) -> None:
    check_alpha(network, *size)


def test_the_encoder_ends_at_conv4_with_v1_strides(network: SeedNetwork) -> None:
    with torch.inference_mode():
        features = network.encoder(torch.randn(1, 4, 64, 96))
    assert features[-1].shape == (1, 1024, 4, 6)
    assert network.encoder.layer3[0].conv1.stride == (2, 2)
    assert 16e6 < sum(p.numel() for p in network.parameters()) < 20e6


def test_the_previous_alpha_is_ignored(network: SeedNetwork) -> None:
    batch = torch.randn(1, 4, 64, 64)
    other = batch.clone()
    other[:, 3] = torch.rand(1, 64, 64)
    with torch.inference_mode():
        assert torch.equal(network.logits(batch), network.logits(other))
        other[:, 0] += 1
        assert not torch.equal(network.logits(batch), network.logits(other))


def test_torchvisions_weights_load_unrenamed() -> None:
    reference = resnet50(weights=None).state_dict()
    network = SeedNetwork()
    network.encoder.load_imagenet(reference)
    ours = network.encoder.state_dict()
    assert {n for n in reference if not n.startswith(("layer4.", "fc."))} == set(ours)
    torch.testing.assert_close(ours["conv1.weight"][:, :3], reference["conv1.weight"])
    torch.testing.assert_close(ours["layer3.5.conv3.weight"], reference["layer3.5.conv3.weight"])


def test_one_picture_is_enough_for_a_step() -> None:
    network = SeedNetwork().train()
    loss = functional.binary_cross_entropy_with_logits(
        network.logits(torch.randn(1, 4, 32, 32)), torch.zeros(1, 1, 32, 32)
    )
    loss.backward()
    assert all(p.grad is not None for p in network.parameters())


def test_four_pairs_are_learnt_and_survive_the_disk(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SeedNetwork()
    network.encoder.requires_grad_(False)  # the decoder is enough for four images, and faster
    network.encoder.eval()
    cross_entropy = functional.binary_cross_entropy_with_logits
    images = check_learning(network, cross_entropy, rate=3e-3, steps=6, share=0.5)
    check_disk(network, images, tmp_path)
