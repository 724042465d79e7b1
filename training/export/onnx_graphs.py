"""ONNX graphs without weights: their tensors are external data in the shipped weights file.

- `NAME.onnx`: the network in fp32, for OpenVINO and others;
- `NAME-fp16.onnx`: the network strongly typed in fp16, for TensorRT;
- `NAME-frame-fp16.onnx`: the full frame around it, also for TensorRT;
- `NAME-qdq.onnx`, `NAME-frame-qdq.onnx`: these two with convolutions in INT8.

No graph has a fixed size. In the typed graphs, small fp32 operations on the weights fold the batch
norms, and an engine's builder computes them once. TensorRT's own folding would cast the parameters
of an fp16 batch norm to fp16, where the first running variance (83615) overflows.
"""

from __future__ import annotations

import json
import struct
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from safetensors.torch import load_file
from torch import nn

from training.export.quantised_graphs import Quantiser
from vidbg.matting.full_frame.matting_graph import TypedNetwork
from vidbg.matting.network import AlphaNetwork
from vidbg.matting.networks import NETWORKS, network_name
from vidbg.pipeline.gpu.frame_graph import FrameGraph
from vidbg.pipeline.gpu.frame_inputs import INPUTS, OUTPUTS, first_inputs
from vidbg.util.limits import MIN_PIXELS

OPSET = 19
"""The first with fp16 scales of quantised tensors."""

Ranges = Mapping[str, float]
"""See quantised_graphs.activation_ranges."""

_ONNX_TYPES = {"F16": TensorProto.FLOAT16, "F32": TensorProto.FLOAT}
_SIZE = {2: "height", 3: "width"}
_PICTURE = {1: "height", 2: "width"}
_CONTENT = {2: "content_height", 3: "content_width"}
_FRAME_AXES = {
    "frame": _PICTURE,
    "background": _PICTURE,
    "past_alpha": _CONTENT,
    "past_luma": _CONTENT,
    "rows": {0: "network_height", 1: "height"},
    "columns": {0: "width", 1: "network_width"},
    "grid_rows": {0: "grid_height", 1: "height"},
    "grid_columns": {0: "width", 1: "grid_width"},
    "composited": _PICTURE,
    "alpha": _SIZE,
    "smoothed": _CONTENT,
    "luma": _CONTENT,
}
_AXES_1_TO_3 = "fold.axes"
_EXAMPLE_SIZE = 32, 64  # of the traced network's input; the graphs take any


def load_network(path: Path) -> AlphaNetwork:
    """Load a file of weights into the network that it belongs to, in eval mode.

    Raises:
        ConfigError: the weights belong to no known network.
    """
    weights = load_file(path)
    network = NETWORKS[network_name(weights)]()
    network.load_weights(weights)
    return network.eval()


class NetworkGraphs:
    """Makes the graphs of one network from its weights. Each module is traced once.

    Args:
        weights: a safetensors file as `save_weights` writes it. Graphs refer to it by name, so it
            has to lie beside them.
    """

    def __init__(self, weights: Path) -> None:
        self._weights = weights

    def fp32(self) -> ModelProto:
        """Make the network in fp32: `input` (1, 4, h, w) to `alpha` (1, 1, h, w)."""
        model = _trace_network(load_network(self._weights))
        _point_into(self._weights, model)
        halves = [t.name for t in model.graph.initializer if t.data_type == TensorProto.FLOAT16]
        for node in model.graph.node:
            node.input[:] = [f"{name}.fp32" if name in halves else name for name in node.input]
        casts = [_cast(name, f"{name}.fp32", TensorProto.FLOAT) for name in halves]
        _set_nodes(model, [*casts, *model.graph.node])
        return model

    def network(self, ranges: Ranges | None = None) -> ModelProto:
        """Make the network in fp16, with the inputs and outputs of `fp32`.

        Args:
            ranges: of the activations, for convolutions in INT8 (see quantised_graphs).
        """
        return _typed(self._traced_network, self._weights, ranges)

    def frame(self, ranges: Ranges | None = None) -> ModelProto:
        """Make the full frame; its inputs and outputs are in vidbg.pipeline.gpu.frame_inputs.

        Args:
            ranges: as of `network`.
        """
        return _typed(self._traced_frame, self._weights, ranges)

    @cached_property
    def _traced_network(self) -> ModelProto:
        return _trace_network(TypedNetwork(load_network(self._weights)).eval())

    @cached_property
    def _traced_frame(self) -> ModelProto:
        # A smaller network input than any in use
        height, width = _EXAMPLE_SIZE
        content = np.zeros((1, 1, height - 4, width), np.float32)
        example = {
            **first_inputs(90, 160, MIN_PIXELS),
            **{"past_alpha": content, "past_luma": content},
            "rows": np.zeros((height, 90), np.float16),
            "columns": np.zeros((160, width), np.float16),
        }
        tensors = tuple(torch.from_numpy(array) for array in example.values())
        module = FrameGraph(load_network(self._weights)).eval()
        return _trace(module, tensors, list(INPUTS), list(OUTPUTS), _FRAME_AXES)


def write_graph(model: ModelProto, path: Path) -> None:
    """Write a graph beside the weights that it refers to, and check it.

    Raises:
        onnx.checker.ValidationError: it is not valid ONNX, or the weights are not there.
    """
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(path))


def _trace_network(module: nn.Module) -> ModelProto:
    example = torch.zeros(1, 4, *_EXAMPLE_SIZE)
    return _trace(module, (example,), ["input"], ["alpha"], {"input": _SIZE, "alpha": _SIZE})


def _trace(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    axes: dict[str, dict[int, str]],
) -> ModelProto:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _one_thread():
        # The tracing exporter keeps parameter names, which the external data need.
        warnings.simplefilter("ignore", DeprecationWarning)
        path = Path(folder) / "traced.onnx"
        torch.onnx.export(
            module,
            example,
            str(path),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            do_constant_folding=False,
            dynamo=False,
        )
        return onnx.load(path)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch in one thread: on tiny examples, threads mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _point_into(weights: Path, model: ModelProto) -> None:
    """Replace the network's tensors by external data; those of other modules stay in the graph.

    In a larger graph the names of the modules around the network come first.
    """
    places = _tensor_places(weights)
    tensors = []
    for tensor in model.graph.initializer:
        short = _name_in(places, tensor.name)
        if short is not None:
            tensor = _external(tensor.name, places[short], weights.name)
        tensors.append(tensor)
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)


def _name_in(weights: Iterable[str], name: str) -> str | None:
    """Name in the weights file of a graph's tensor; None if it is not in the file."""
    return next((short for short in weights if f".{name}".endswith(f".{short}")), None)


def _tensor_places(weights: Path) -> dict[str, dict[str, Any]]:
    """Type, shape and absolute byte range of each tensor in a safetensors file."""
    with weights.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(length))
    header.pop("__metadata__", None)
    for entry in header.values():
        entry["data_offsets"] = [offset + 8 + length for offset in entry["data_offsets"]]
    return header


def _external(name: str, place: dict[str, Any], file_name: str) -> TensorProto:
    tensor = TensorProto(name=name, data_type=_ONNX_TYPES[place["dtype"]], dims=place["shape"])
    tensor.data_location = TensorProto.EXTERNAL
    start, end = place["data_offsets"]
    for key, value in (("location", file_name), ("offset", start), ("length", end - start)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _typed(traced: ModelProto, weights: Path, ranges: Ranges | None) -> ModelProto:
    """Fold batch norms and quantise convolutions of a traced graph; return a new model."""
    model = ModelProto()
    model.CopyFrom(traced)
    _point_into(weights, model)
    norms = {n.input[0]: n for n in model.graph.node if n.op_type == "BatchNormalization"}
    shared = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Identity"}
    folding, nodes = _constants(norms.values()), []
    for node in model.graph.node:
        if node.op_type == "Conv" and node.output[0] in norms:
            folding += _fold(node, norms[node.output[0]], shared)
        if node.op_type not in ("BatchNormalization", "Identity"):
            nodes.append(node)
    for node in nodes:
        node.input[:] = [shared.get(name, name) for name in node.input]
    nodes = [*folding, *nodes]
    if ranges is not None:
        names = [node.input[1] for node in nodes if node.op_type == "Conv"]
        nodes = Quantiser(nodes, ranges, _kernels(names, folding, weights)).quantise()
    _set_nodes(model, nodes)
    return model


def _kernels(
    names: Sequence[str], folding: Sequence[NodeProto], weights: Path
) -> dict[str, NDArray[Any]]:
    """Return the convolutions' weights by name; folding computes some of them from the file."""
    stored = {name: tensor.numpy() for name, tensor in load_file(weights).items()}
    made = {output for node in folding for output in node.output}
    taken = {name for node in folding for name in node.input} - made | (set(names) - made)
    values = {name: stored[short] for name in taken if (short := _name_in(stored, name))}
    folded = [name for name in names if name in made]
    unknown = [helper.make_value_info(name, onnx.TypeProto()) for name in (*values, *folded)]
    inputs, outputs = unknown[: len(values)], unknown[len(values) :]
    steps = helper.make_model(
        helper.make_graph(folding, "folding", inputs, outputs),
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    results = ReferenceEvaluator(steps).run(folded, values)
    return {name: values[name] for name in names if name in values} | dict(
        zip(folded, results, strict=True)
    )


def _constants(norms: Iterable[NodeProto]) -> list[NodeProto]:
    epsilons = {_epsilon(norm) for norm in norms}
    values = {_AXES_1_TO_3: np.arange(1, 4)} | {_named(e): np.float32(e) for e in epsilons}
    return [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value)))
        for name, value in values.items()
    ]


def _epsilon(norm: NodeProto) -> float:
    """Epsilon of a batch norm; ONNX omits the default of 1e-5."""
    return next((float(a.f) for a in norm.attribute if a.name == "epsilon"), 1e-5)


def _named(epsilon: float) -> str:
    return f"fold.epsilon.{epsilon:g}"


def _fold(conv: NodeProto, norm: NodeProto, shared: dict[str, str]) -> list[NodeProto]:
    """Fold a batch norm into its convolution; return the nodes that compute the new weights.

    weight' = weight * gain, bias' = beta - mean * gain, gain = gamma / sqrt(variance + epsilon).
    """
    gamma, beta, mean, variance = (shared.get(name, name) for name in norm.input[1:])
    weight = conv.input[1]
    kernel, bias, at = f"{weight}.folded", f"{weight}.bias", f"{weight}."
    conv.input[:] = [conv.input[0], kernel, bias]
    conv.output[0] = norm.output[0]
    steps = (
        ("Add", (variance, _named(_epsilon(norm))), "variance"),
        ("Sqrt", (at + "variance",), "deviation"),
        ("Div", (gamma, at + "deviation"), "gain"),
        ("Mul", (mean, at + "gain"), "shift"),
        ("Sub", (beta, at + "shift"), "bias32"),
        ("Unsqueeze", (at + "gain", _AXES_1_TO_3), "gains"),
        ("Mul", (at + "fp32", at + "gains"), "folded32"),
    )
    return [
        _cast(weight, at + "fp32", TensorProto.FLOAT),
        *(helper.make_node(kind, inputs, [at + output]) for kind, inputs, output in steps),
        _cast(at + "folded32", kernel, TensorProto.FLOAT16),
        _cast(at + "bias32", bias, TensorProto.FLOAT16),
    ]


def _cast(name: str, output: str, to: int) -> NodeProto:
    return helper.make_node("Cast", [name], [output], to=to)


def _set_nodes(model: ModelProto, nodes: Sequence[NodeProto]) -> None:
    del model.graph.node[:]
    model.graph.node.extend(nodes)
