"""The ONNX graph points into the weights file and gives what the network gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
onnx = pytest.importorskip("onnx")

import openvino  # noqa: E402
from torch.nn.utils.fusion import fuse_conv_bn_eval  # noqa: E402

from training.export.onnx_graphs import NetworkGraphs, load_network, write_graph  # noqa: E402
from training.export.quantised_graphs import LEAST_SCALE, LEVELS  # noqa: E402
from training.model.checkpoint import save_weights  # noqa: E402
from vidbg.matting.backends.graphs import GraphSpec  # noqa: E402
from vidbg.matting.engines import CARDS, engine_file  # noqa: E402
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
    write_graph(NetworkGraphs(weights).fp32(), path)
    return path


@pytest.fixture(scope="module")
def typed(weights: Path) -> Path:
    path = weights.with_name("typed.onnx")
    write_graph(NetworkGraphs(weights).network(), path)
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


def test_the_typed_graph_is_fp16_and_matches_the_network(weights: Path, typed: Path) -> None:
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


def test_int8_scales_hold_the_folded_weights_and_the_graph_none() -> None:
    """The shipped graph against torch's own folding of the shipped weights."""
    path = GraphSpec("network", "", {}, "int8").graph_file()
    graph = onnx.load(path, load_external_data=False).graph
    assert all(tensor.external_data for tensor in graph.initializer)
    values = {
        node.output[0]: onnx.numpy_helper.to_array(node.attribute[0].t)
        for node in graph.node
        if node.op_type == "Constant"
    }
    scales = [values[n.input[1]] for n in graph.node if n.op_type == "QuantizeLinear"]
    assert all(scale.dtype == np.float16 and (scale > 0).all() for scale in scales)
    encoder: Any = load_network(engine_file(CARDS["resnet50"].weights, ".safetensors")).encoder
    down: Any = encoder.layer4[0].downsample
    pairs: tuple[tuple[str, Any, Any], ...] = (
        ("layer1.0.conv1", encoder.layer1[0].conv1, encoder.layer1[0].bn1),
        ("layer4.0.downsample.0", down[0], down[1]),
    )
    for name, convolution, norm in pairs:
        folded = fuse_conv_bn_eval(convolution, norm).weight.detach().numpy()
        largest = np.abs(folded).max(axis=(1, 2, 3))
        scale = values[f"network.encoder.{name}.weight.folded.scale"].astype(np.float32)
        assert (scale * LEVELS >= 0.999 * largest).all()  # fp16 of the folded weights rounds
        plain = scale > 2 * LEAST_SCALE
        np.testing.assert_allclose(scale[plain], largest[plain] / LEVELS, rtol=2e-3)
