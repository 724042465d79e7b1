"""The network: sizes, weights by torchvision's names, v1 strides, that it learns and exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from torchvision.models import resnet50  # noqa: E402

from training.losses.matting_loss import matting_loss  # noqa: E402
from training.model.checkpoint import load_init, save_weights  # noqa: E402
from vidbg.matting.network import MattingNetwork  # noqa: E402


@pytest.fixture(scope="module")
def network() -> MattingNetwork:
    torch.manual_seed(0)
    return MattingNetwork().eval()


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (160, 32)])
def test_alpha_has_the_inputs_size_and_range(
    network: MattingNetwork, size: tuple[int, int]
) -> None:
    with torch.inference_mode():
        alpha = network(torch.randn(2, 4, *size))
    assert alpha.shape == (2, 1, *size)
    assert 0 <= float(alpha.min()) <= float(alpha.max()) <= 1


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
    network.encoder.requires_grad_(False)  # the decoder is enough for four pictures, and faster
    images = torch.zeros(4, 4, 64, 64)
    masks = torch.zeros(4, 1, 64, 64)
    for index in range(4):
        masks[index, :, 16:48, 8 * index : 8 * index + 24] = 1
    images[:, :3] = masks * 2 - 1
    optimizer = torch.optim.AdamW((p for p in network.parameters() if p.requires_grad), 3e-3)
    losses = []
    for _ in range(15):
        terms = matting_loss(network.logits(images), masks)
        loss = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.35 * losses[0]

    path = tmp_path / "weights.safetensors"
    save_weights(network, path)
    again = MattingNetwork()
    assert load_init(again, path).startswith("whole network")
    with torch.inference_mode():
        before, after = network.eval()(images), again.eval()(images)
    # Convolutions are stored in fp16, with 11 bits of mantissa.
    np.testing.assert_allclose(before.numpy(), after.numpy(), atol=0.01)
