"""Explicit quantisation (Q/DQ) of a typed graph, for engines that compute convolutions in INT8.

The ranges of the activations are those that nncf found for OpenVINO's INT8 network: both are
calibrated once, on the same pictures. TensorRT quantises symmetrically, activations by tensor and
weights by output channel: a range of -a to b becomes a scale of max(a, b) / 127, and each channel's
largest weight its 127.

Quantised are what convolutions take, and what is added to a residual block's result. The weights
stay where they are: the graph has their scales alone, and an engine's builder quantises them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

from vidbg.matting.backends.openvino import import_openvino

LEVELS = 127
"""Steps of a symmetric INT8 range on either side of 0."""

LEAST_SCALE = float(np.finfo(np.float16).smallest_normal)
"""Scales are fp16, as strongly typed networks want them, and some devices take subnormals for 0."""

_KEEP_RANGES = ("Concat", "MaxPool", "Resize", "Reshape", "Transpose", "Squeeze", "Unsqueeze")
"""Operations whose result stays within the range of what they take."""

_RANGE = "/fq_output_0"
_INPUT = "input"


def open_as_it_stands(graph: Path) -> Any:
    """ONNX Runtime's session of a graph on the CPU, without its optimisations.

    Of fp16 scales they multiply two in fp16, which is 0 for many.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])


def activation_ranges(network: Path) -> dict[str, float]:
    """The largest absolute value of each activation that a network of nncf's quantises.

    Args:
        network: the .xml file of an OpenVINO network.
    Returns:
        By the name of the operation that computes it.
    """
    ranges = {}
    for node in import_openvino().Core().read_model(network).get_ordered_ops():
        name = node.get_friendly_name()
        if node.get_type_name() == "FakeQuantize" and name.endswith(_RANGE):
            low, high = (node.input_value(index).get_node().data for index in (1, 2))
            ranges[name.removesuffix(_RANGE)] = float(max(np.abs(low).max(), np.abs(high).max()))
    return ranges


class Quantiser:
    """Puts Q/DQ pairs into one graph.

    Args:
        nodes: of the graph, in an order in which they can be computed; their inputs are changed.
        ranges: as `activation_ranges` gives them.
        kernels: the weights of each convolution by the name of its second input, (out, in, h, w).
    """

    def __init__(
        self,
        nodes: list[NodeProto],
        ranges: Mapping[str, float],
        kernels: Mapping[str, NDArray[Any]],
    ) -> None:
        self._nodes = nodes
        self._ranges = ranges
        self._kernels = kernels
        self._makers = {output: node for node in nodes for output in node.output}
        self._pairs: dict[str, list[NodeProto]] = {}

    def quantise(self) -> list[NodeProto]:
        """The graph's nodes with the pairs among them, each behind what it takes.

        Raises:
            KeyError: nncf has left something in floating point that a convolution takes.
        """
        for node in self._nodes:
            if node.op_type == "Conv":
                node.input[:2] = [self._activation(node.input[0]), self._kernel(node.input[1])]
            elif node.op_type == "Add" and "/encoder/" in node.output[0]:  # a block's end
                node.input[1] = self._activation(node.input[1])
        quantised = []
        for name, pair in self._pairs.items():
            quantised += pair if name not in self._makers else []
        for node in self._nodes:
            quantised.append(node)
            for output in node.output:
                quantised += self._pairs.get(output, [])
        return quantised

    def _activation(self, name: str) -> str:
        return self._pair(name, np.asarray(self._range_of(name)))

    def _kernel(self, name: str) -> str:
        return self._pair(name, np.abs(self._kernels[name]).max(axis=(1, 2, 3)))

    def _pair(self, name: str, largest: NDArray[Any]) -> str:
        """Quantise a tensor, once; returns the name of what it becomes.

        Args:
            largest: its largest absolute value, or that of each of its first axis.
        """
        if name not in self._pairs:
            scales = _scales(largest)
            given = (f"{name}.scale", f"{name}.zero")
            self._pairs[name] = [
                _constant(given[0], scales),
                _constant(given[1], np.zeros(scales.shape, np.int8)),
                _node("QuantizeLinear", (name, *given), f"{name}.int8"),
                _node("DequantizeLinear", (f"{name}.int8", *given), _dequantised(name)),
            ]
        return _dequantised(name)

    def _range_of(self, name: str) -> float:
        """The range of a tensor, or of what it is put together from."""
        if (known := self._ranges.get(_operation(name))) is not None:
            return known
        maker = self._makers[name]
        if maker.op_type == "Cast":  # the network's only one, of what it takes
            return self._ranges[_INPUT]
        if maker.op_type not in _KEEP_RANGES:
            raise KeyError(f"nncf gives no range for {name}, a {maker.op_type}")
        sources = maker.input if maker.op_type == "Concat" else maker.input[:1]
        return max(self._range_of(source) for source in sources)


def _operation(name: str) -> str:
    """The operation that computes a tensor, named as in the network's own graph.

    A graph around the network puts its modules' names before the network's.
    """
    path = name.removesuffix("_output_0")
    _, inside, rest = path.partition("/network/")
    return f"/{rest}" if inside else path


def _dequantised(name: str) -> str:
    return f"{name}.dequantised"


def _scales(largest: NDArray[Any]) -> NDArray[np.float16]:
    """Scales of symmetric INT8 whose range holds these values."""
    wanted = np.maximum(largest.astype(np.float32) / LEVELS, LEAST_SCALE)
    scales = wanted.astype(np.float16)
    return np.where(scales < wanted, np.nextafter(scales, np.float16(np.inf)), scales)


def _node(kind: str, inputs: tuple[str, ...], output: str) -> NodeProto:
    return helper.make_node(kind, inputs, [output], axis=0)  # counts for several scales only


def _constant(name: str, value: NDArray[np.float16] | NDArray[np.int8]) -> NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
