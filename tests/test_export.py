"""The ONNX graph points into the weights file and gives what the network gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
onnx = pytest.importorskip("onnx")

import openvino  # noqa: E402

from training.checkpoint import save_weights  # noqa: E402
from training.export import load_network, onnx_from_weights  # noqa: E402
from vidbg.matting.network import MattingNetwork  # noqa: E402


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights whose tensors all differ, as trained ones do."""
    torch.manual_seed(0)
    network = MattingNetwork()
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value += torch.rand_like(value) * 0.01
    path = tmp_path_factory.mktemp("engine") / "net.safetensors"
    save_weights(network, path)
    return path


@pytest.fixture(scope="module")
def graph(weights: Path) -> Path:
    path = weights.with_suffix(".onnx")
    onnx_from_weights(weights, path)
    return path


def test_the_graph_holds_no_weights_of_its_own(weights: Path, graph: Path) -> None:
    assert graph.stat().st_size < 0.01 * weights.stat().st_size
    model = onnx.load(graph, load_external_data=False)
    for tensor in model.graph.initializer:
        places = {entry.key: entry.value for entry in tensor.external_data}
        assert places["location"] == weights.name


@pytest.mark.parametrize("size", [(64, 96), (160, 64)])
def test_openvino_reads_it_at_any_size(weights: Path, graph: Path, size: tuple[int, int]) -> None:
    batch = np.random.default_rng(0).normal(size=(1, 4, *size)).astype(np.float32)
    with torch.inference_mode():
        expected = load_network(weights)(torch.from_numpy(batch)).numpy()
    model = openvino.Core().read_model(graph)
    model.reshape([1, 4, *size])
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(compiled([batch])[0], expected, atol=1e-4)
