"""The baseline network: sizes, what it ignores, public weights, that it learns."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from safetensors.torch import load_file  # noqa: E402
from torchvision.models import resnet50  # noqa: E402

from training.model.checkpoint import save_weights  # noqa: E402
from training.model.seed_network import SeedNetwork  # noqa: E402

functional = torch.nn.functional


@pytest.fixture(scope="module")
def network() -> SeedNetwork:
    torch.manual_seed(0)
    return SeedNetwork().eval()


@pytest.mark.parametrize("size", [(16, 16), (64, 96), (160, 48)])
def test_alpha_has_the_inputs_size_and_range(network: SeedNetwork, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        alpha = network(torch.randn(2, 4, *size))
    assert alpha.shape == (2, 1, *size)
    assert 0 <= float(alpha.min()) <= float(alpha.max()) <= 1


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
    masks = torch.zeros(4, 1, 64, 64)
    for index in range(4):
        masks[index, :, 16:48, 8 * index : 8 * index + 24] = 1
    images = functional.pad(masks.expand(-1, 3, -1, -1) * 2 - 1, (0, 0, 0, 0, 0, 1))
    optimizer = torch.optim.Adam((p for p in network.parameters() if p.requires_grad), 3e-3)
    losses = []
    for _ in range(6):
        loss = functional.binary_cross_entropy_with_logits(network.logits(images), masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]

    save_weights(network, tmp_path / "weights.safetensors")
    again = SeedNetwork()
    again.load_weights(load_file(tmp_path / "weights.safetensors"))
    with torch.inference_mode():
        before, after = network.eval()(images), again.eval()(images)
    # Convolutions are stored in fp16, with 11 bits of mantissa.
    torch.testing.assert_close(before, after, atol=0.01, rtol=0)
