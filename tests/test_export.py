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
from training.onnx_graphs import load_network, onnx_from_weights, typed_network  # noqa: E402
from vidbg.matting.network import MattingNetwork  # noqa: E402


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights whose tensors all differ, as trained ones do; a variance exceeds fp16."""
    torch.manual_seed(0)
    network = MattingNetwork()
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value += torch.rand_like(value) * 0.01
        state = network.state_dict()
        state["encoder.conv1.weight"] *= 300
        state["encoder.bn1.running_var"] *= 300**2
    path = tmp_path_factory.mktemp("engine") / "net.safetensors"
    save_weights(network, path)
    return path


@pytest.fixture(scope="module")
def graph(weights: Path) -> Path:
    path = weights.with_suffix(".onnx")
    onnx_from_weights(weights, path)
    return path


@pytest.fixture(scope="module")
def typed(weights: Path) -> Path:
    path = weights.with_name("typed.onnx")
    typed_network(weights, path)
    return path


@pytest.mark.parametrize("name", ["graph", "typed"])
def test_the_graph_holds_no_weights_of_its_own(
    name: str, weights: Path, request: pytest.FixtureRequest
) -> None:
    graph: Path = request.getfixturevalue(name)
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


def test_the_typed_graph_is_fp16_and_gives_what_the_network_gives(
    weights: Path, typed: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    batch = np.random.default_rng(0).normal(size=(1, 4, 64, 96)).astype(np.float32)
    with torch.inference_mode():
        expected = load_network(weights)(torch.from_numpy(batch)).numpy()
    session = runtime.InferenceSession(str(typed), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"input": batch})[0], expected, atol=0.01)
    nodes = onnx.load(typed, load_external_data=False).graph.node
    casts = [node for node in nodes if node.op_type == "Cast"]
    folded = {c.output[0] for c in casts if c.attribute[0].i == onnx.TensorProto.FLOAT16}
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    assert sum({*node.input[1:]} <= folded for node in convolutions) == 72
