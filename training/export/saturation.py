"""Quantised weights whose products fit the 16-bit sums of processors without VNNI.

AVX2 and AVX-512 without VNNI multiply unsigned 8-bit activations by signed 8-bit weights and add
the products of neighbouring input channels (2k and 2k + 1) in 16 bits, saturating: two activations
of 255 with two weights of 127 give 64,770, where 32,767 is the most. nncf's overflow fix takes one
bit from every weight. Here an output channel's weights lose only as much as the largest sum of a
pair asks for, given the activations that calibration images show: most lose nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbg.matting.backends.openvino import import_openvino

LARGEST_SUM = 32767
LARGEST_ACTIVATION = 255

MARGIN = 1.15
"""Factor by which later activations may exceed those of the calibration."""

_SAME_VALUES = ("Interpolate", "MaxPool", "Concat")
"""Operations that keep the range of a quantised tensor."""


def limit_weights(model: Any, batches: Sequence[NDArray[np.float32]]) -> int:
    """Widen the weights' quantisation ranges of a model in place, until no pair saturates.

    Args:
        model: an OpenVINO model of nncf's with FakeQuantize operations on weights still in fp32.
        batches: network inputs, float32 (1, 4, h, w), that show how large activations become.
    Returns:
        How many output channels lost some of their weights' resolution.
    """
    convolutions = [n for n in model.get_ordered_ops() if n.get_type_name() == "Convolution"]
    weighted = [(c, f) for c in convolutions if (f := _quantiser(c.input_value(1))) is not None]
    largest = _largest_activations(model, [c for c, _ in weighted], batches)
    kernels = _kernels([quantiser for _, quantiser in weighted])
    changed = 0
    for (_, quantiser), kernel, activations in zip(weighted, kernels, largest, strict=True):
        low, high = _constant(quantiser, 1), _constant(quantiser, 2)
        step = (high - low) / (quantiser.get_attributes()["levels"] - 1)
        factors = widening(np.asarray(kernel / step, np.float32), activations)
        if (factors > 1).any():
            _widen(quantiser, factors)
            changed += int((factors > 1).sum())
    return changed


def fold_constants(model: Any) -> None:
    """Compute in place what depends on no input of an OpenVINO model.

    Behind a Reshape, as ONNX graphs have them, nncf gives depthwise weights a range for each column
    of the kernel. OpenVINO has no INT8 kernel for that and computes them in floating point: the
    light network took 14.5 ms of CPU time at 86016 pixels without VNNI instead of 11.8.
    """
    import_openvino()
    from openvino.passes import ConstantFolding, Manager

    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)


def widening(levels: NDArray[np.float32], activations: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute by how much each output channel's range must widen so that no pair saturates.

    Args:
        levels: weights in units of their quantisation step, (out, in, h, w), -127 to 127.
        activations: the largest of each input channel, (in,), 0 to 255.
    Returns:
        float32 (out,), 1 and more.
    """
    out, count = levels.shape[:2]
    padded = np.zeros((out, count + count % 2, *levels.shape[2:]), np.float32)
    padded[:, :count] = levels * activations[None, :, None, None]
    sums = []
    for products in (padded.clip(min=0), -padded.clip(max=0)):
        pairs = products[:, 0::2] + products[:, 1::2]
        sums.append(pairs.reshape(out, -1).max(axis=1))
    return np.asarray(np.maximum(np.maximum(*sums) / LARGEST_SUM, 1), np.float32)


def _quantiser(output: Any) -> Any | None:
    node = output.get_node()
    return node if node.get_type_name() == "FakeQuantize" else None


def _kernels(quantisers: Sequence[Any]) -> list[NDArray[np.float32]]:
    """Compute the weights before quantisation; the model may multiply them by gains."""
    openvino = import_openvino()
    weights = openvino.Model([q.input_value(0) for q in quantisers], [], "weights")
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    results = openvino.Core().compile_model(weights, "CPU", exact)([])
    return [np.array(results[index]) for index in range(len(quantisers))]


def _constant(node: Any, index: int) -> NDArray[np.float32]:
    return np.asarray(node.input_value(index).get_node().data, np.float32)


def _widen(quantiser: Any, factors: NDArray[np.float32]) -> None:
    openvino = import_openvino()
    for index in range(1, 5):  # input low and high, output low and high
        values = _constant(quantiser, index)
        shape = (len(factors), *values.shape[1:])
        wider = np.broadcast_to(values, shape) * factors.reshape(-1, *[1] * (values.ndim - 1))
        constant = openvino.op.Constant(np.ascontiguousarray(wider, np.float32))
        quantiser.input(index).replace_source_output(constant.output(0))


def _largest_activations(
    model: Any, convolutions: Sequence[Any], batches: Iterable[NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    """Measure the largest activation of each convolution's input channels, 0 to 255."""
    openvino = import_openvino()
    ranges = [_activation_range(c.input_value(0)) for c in convolutions]
    known = [(c, r) for c, r in zip(convolutions, ranges, strict=True) if r is not None]
    tapped = openvino.Model([c.input_value(0) for c, _ in known], model.get_parameters(), "seen")
    compiled = openvino.Core().compile_model(tapped, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    tops: list[NDArray[np.float32]] | None = None
    for batch in batches:
        results = compiled([batch])
        peaks = [np.asarray(results[i]).max(axis=(0, 2, 3)) for i in range(len(known))]
        tops = peaks if tops is None else [np.maximum(*p) for p in zip(tops, peaks, strict=True)]
    if tops is None:
        raise ValueError("no images to measure activations with")
    largest: dict[str, NDArray[np.float32]] = {}
    for (convolution, (low, high)), top in zip(known, tops, strict=True):
        levels = (top - low) / (high - low) * LARGEST_ACTIVATION * MARGIN
        largest[convolution.get_friendly_name()] = levels.clip(0, LARGEST_ACTIVATION)
    full = [np.full(c.input_value(1).get_shape()[1], 255, np.float32) for c in convolutions]
    return [
        largest.get(c.get_friendly_name(), worst)
        for c, worst in zip(convolutions, full, strict=True)
    ]


def _activation_range(output: Any) -> tuple[float, float] | None:
    """Return low and high of a convolution's input if all of its channels share one range."""
    quantisers = _activation_quantisers(output.get_node())
    ranges = {(float(_constant(q, 1).min()), float(_constant(q, 2).max())) for q in quantisers}
    return ranges.pop() if len(ranges) == 1 else None


def _activation_quantisers(node: Any) -> list[Any]:
    kind = node.get_type_name()
    if kind == "FakeQuantize":
        return [node]
    if kind not in _SAME_VALUES:
        return []
    sources = range(node.get_input_size()) if kind == "Concat" else [0]
    return [q for i in sources for q in _activation_quantisers(node.input_value(i).get_node())]
