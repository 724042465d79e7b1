"""Explicit quantisation (Q/DQ) of a typed graph, for engines with INT8 convolutions.

The ranges of the activations come from OpenVINO's INT8 network, which nncf calibrated. TensorRT
quantises symmetrically, activations by tensor and weights by output channel: a range of -a to b
becomes a scale of max(a, b) / 127, and each channel's largest weight becomes 127.

The inputs of convolutions are quantised, and the shortcut that is added at the end of a residual
block. Of the weights the graph contains only the scales: the engine's builder quantises them.
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
"""Steps of a symmetric INT8 range on each side of 0."""

LEAST_SCALE = float(np.finfo(np.float16).smallest_normal)
"""Scales are fp16 because the network is strongly typed, and some devices flush subnormals to 0."""

_KEEP_RANGES = ("Concat", "MaxPool", "Resize", "Reshape", "Transpose", "Squeeze", "Unsqueeze")
"""Operations whose result stays within the range of their inputs."""

_RANGE = "/fq_output_0"
_INPUT = "input"


def open_as_it_stands(graph: Path) -> Any:
    """Open a graph in ONNX Runtime on the CPU, without optimisations.

    The optimisations multiply two fp16 scales in fp16, which often underflows to 0.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])


def activation_ranges(network: Path) -> dict[str, float]:
    """Read the largest absolute value of each activation that an nncf network quantises.

    Args:
        network: the .xml file of an OpenVINO network.
    Returns:
        The values, by the name of the operation that computes the activation.
    """
    ranges = {}
    for node in import_openvino().Core().read_model(network).get_ordered_ops():
        name = node.get_friendly_name()
        if node.get_type_name() == "FakeQuantize" and name.endswith(_RANGE):
            low, high = (node.input_value(index).get_node().data for index in (1, 2))
            ranges[name.removesuffix(_RANGE)] = float(max(np.abs(low).max(), np.abs(high).max()))
    return ranges


class Quantiser:
    """Inserts Q/DQ pairs into a graph.

    Args:
        nodes: the graph's nodes in topological order; their inputs are changed in place.
        ranges: as `activation_ranges` returns them.
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
        """Return the graph's nodes and the pairs in topological order.

        Raises:
            KeyError: nncf left the input of a convolution in floating point.
        """
        for node in self._nodes:
            if node.op_type == "Conv":
                data, kernel = node.input[:2]
                largest = np.abs(self._kernels[kernel]).max(axis=(1, 2, 3))
                node.input[:2] = [self._activation(data), self._pair(kernel, largest)]
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

    def _pair(self, name: str, largest: NDArray[Any]) -> str:
        """Quantise a tensor once and return the name of the dequantised tensor.

        Args:
            largest: its largest absolute value, or one for each index of its first axis.
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
        """Range of a tensor, taken from its inputs if nncf gives none."""
        if (known := self._ranges.get(_operation(name))) is not None:
            return known
        maker = self._makers[name]
        if maker.op_type == "Cast":  # the only one in the network, on its input
            return self._ranges[_INPUT]
        if maker.op_type not in _KEEP_RANGES:
            raise KeyError(f"nncf gives no range for {name}, a {maker.op_type}")
        sources = maker.input if maker.op_type == "Concat" else maker.input[:1]
        return max(self._range_of(source) for source in sources)


def _operation(name: str) -> str:
    """Name of the operation that computes a tensor, as in the network's own graph.

    In a larger graph the names of the modules around the network come first.
    """
    path = name.removesuffix("_output_0")
    _, inside, rest = path.partition("/network/")
    return f"/{rest}" if inside else path


def _dequantised(name: str) -> str:
    return f"{name}.dequantised"


def _scales(largest: NDArray[Any]) -> NDArray[np.float16]:
    """Scales of symmetric INT8, rounded up so that the range includes these values."""
    wanted = np.maximum(largest.astype(np.float32) / LEVELS, LEAST_SCALE)
    scales = wanted.astype(np.float16)
    return np.where(scales < wanted, np.nextafter(scales, np.float16(np.inf)), scales)


def _node(kind: str, inputs: tuple[str, ...], output: str) -> NodeProto:
    return helper.make_node(kind, inputs, [output], axis=0)  # used only with several scales


def _constant(name: str, value: NDArray[np.float16] | NDArray[np.int8]) -> NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
