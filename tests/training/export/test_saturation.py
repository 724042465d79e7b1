"""Quantised weights stay within 16-bit sums and lose no more than necessary."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.export.saturation import LARGEST_SUM, fold_constants, limit_weights, widening
from vidbg.matting.backends.openvino import import_openvino


def worst_sum(levels: np.ndarray, activations: np.ndarray) -> float:
    """Return the largest sum of two neighbouring products, of either sign."""
    products = levels.reshape(levels.shape[0], -1, 2) * activations.reshape(1, -1, 2)
    return float(max(products.clip(min=0).sum(-1).max(), (-products).clip(min=0).sum(-1).max()))


def test_a_pair_that_saturates_is_widened_until_it_fits() -> None:
    levels = np.zeros((3, 4, 1, 1), np.float32)
    levels[0, :2] = 127  # 2 x 127 x 255 is too much
    levels[1, 1:3] = 127  # not a pair: channels 1 and 2
    levels[2, :2] = [[[-127]], [[-100]]]
    activations = np.full(4, 255, np.float32)
    factors = widening(levels, activations)
    assert factors == pytest.approx([2 * 127 * 255 / LARGEST_SUM, 1, 227 * 255 / LARGEST_SUM])
    for row in range(3):
        assert worst_sum(levels[row : row + 1] / factors[row], activations) <= LARGEST_SUM * 1.0001


def test_small_activations_leave_the_weights_alone() -> None:
    levels = np.full((2, 5, 3, 3), 127, np.float32)  # an odd number of channels
    assert (widening(levels, np.full(5, 120, np.float32)) == 1).all()


def quantised_convolution(weight: float) -> Any:
    """Build a model of one convolution, 4 to 2 channels, quantised as nncf does it."""
    openvino = import_openvino()
    ops = openvino.opset13
    picture = ops.parameter([1, 4, 4, 4], np.float32, name="input")
    kernel = np.full((2, 4, 1, 1), weight, np.float32)
    kernel[1] = 0.01
    quantised = ops.fake_quantize(picture, 0.0, 1.0, 0.0, 1.0, 256)
    low = np.float32(-weight) * np.ones((2, 1, 1, 1), np.float32)
    weights = ops.fake_quantize(ops.constant(kernel), low, -low, low, -low, 255)
    out = ops.convolution(quantised, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    return openvino.Model([out], [picture], "one")


def ranges(model: Any) -> np.ndarray:
    """Return the upper end of the weights' ranges."""
    (convolution,) = [n for n in model.get_ordered_ops() if n.get_type_name() == "Convolution"]
    quantiser = convolution.input_value(1).get_node()
    return np.broadcast_to(quantiser.input_value(2).get_node().data, (2, 1, 1, 1)).ravel()


def test_only_channels_at_risk_are_widened_in_a_model() -> None:
    model = quantised_convolution(0.5)
    bright = np.ones((1, 4, 4, 4), np.float32)
    assert limit_weights(model, [bright]) == 1
    wide, same = ranges(model)
    assert wide == pytest.approx(0.5 * 2 * 127 * 255 / LARGEST_SUM, rel=1e-3)
    assert same == pytest.approx(0.5)
    result = import_openvino().Core().compile_model(model, "CPU")([bright])[0]
    assert result[0, 0] == pytest.approx(np.full((4, 4), 2.0), rel=0.02)


def test_what_the_calibration_shows_decides() -> None:
    model = quantised_convolution(0.5)
    dark = np.full((1, 4, 4, 4), 0.3, np.float32)
    assert limit_weights(model, [dark]) == 0
    assert ranges(model) == pytest.approx([0.5, 0.5])


def test_no_pictures_are_an_error() -> None:
    with pytest.raises(ValueError, match="no images"):
        limit_weights(quantised_convolution(0.5), [])


def test_depthwise_weights_are_constants_before_they_are_quantised() -> None:
    ops = import_openvino().opset13
    picture = ops.parameter([1, 2, 4, 4], np.float32, name="input")
    kernel = np.arange(18, dtype=np.float32).reshape(2, 1, 3, 3)
    shaped = ops.reshape(ops.constant(kernel), [2, 1, 1, 3, 3], special_zero=False)
    out = ops.group_convolution(picture, shaped, [1, 1], [0, 0], [0, 0], [1, 1])
    model = import_openvino().Model([out], [picture], "depthwise")
    fold_constants(model)
    weights = model.get_ops()[-2].input_value(1).get_node()
    assert weights.get_type_name() == "Constant"
    assert (weights.data == kernel[:, None]).all()
