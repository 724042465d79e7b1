"""Cheaper training steps on a CPU, with the same parameters, losses and gradients.

- Batch norms with fixed statistics are folded into the convolutions before them in each step, which
  saves their passes over memory. Both stay trainable: the folding is part of the graph.
- Depthwise convolutions of 5 x 5 pixels or with a stride have slow gradients in oneDNN, in bf16 10
  to 40 times as slow as those of 3 x 3 (PyTorch 2.14, AVX-512). They are computed from fast ones.
- The gradient of a bilinear enlargement takes eight times as long where it is a part of the
  channels of a larger tensor, as behind a concatenation. It is copied first.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_gradients = torch.ops.aten.convolution_backward


def speed_up(network: nn.Module) -> None:
    """Replace how the convolutions of a network compute, in place; weights and names stay.

    Call it again after a change of the batch norms' mode.

    Args:
        network: in channels last; its modules apply their children in the order of registration.
    """
    for convolution, norm in _layers(network):
        fixed = norm if norm is not None and not norm.training else None
        convolution.forward = partial(_convolve, convolution, fixed)  # type: ignore[method-assign]
        if fixed is not None:
            fixed.forward = _unchanged  # type: ignore[method-assign, assignment]
        elif norm is not None:
            norm.__dict__.pop("forward", None)


class PackedGradients(TorchFunctionMode):
    """Context of a forward pass in which the gradients of enlargements are copied first."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is functional.interpolate and result.requires_grad:
            result.register_hook(_packed)
        return result


def _packed(grad: Tensor) -> Tensor:
    return grad.contiguous(memory_format=torch.channels_last)


def _layers(network: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """List all convolutions, each with the batch norm registered just after it."""
    for parent in network.modules():
        for child, following in pairwise([*parent.children(), None]):
            if isinstance(child, nn.Conv2d):
                yield child, following if isinstance(following, nn.BatchNorm2d) else None


def _unchanged(x: Tensor) -> Tensor:
    return x


def _convolve(convolution: nn.Conv2d, norm: nn.BatchNorm2d | None, x: Tensor) -> Tensor:
    weight, bias = convolution.weight, convolution.bias
    if norm is not None:
        mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
        scale = norm.weight * torch.rsqrt(variance + norm.eps)
        offset = norm.bias - mean * scale
        weight = weight * scale[:, None, None, None]
        bias = offset if bias is None else offset + bias * scale
    if torch.is_autocast_enabled("cpu"):
        kind = torch.get_autocast_dtype("cpu")
        x, weight = x.to(kind), weight.to(kind)
    stride, padding = list(convolution.stride), [int(pad) for pad in convolution.padding]
    if _is_slow(convolution):
        depthwise: Tensor = _Depthwise.apply(x, weight, bias, stride, padding)
        return depthwise
    dilation = list(convolution.dilation)
    return _forward(x, weight, bias, stride, padding, dilation, convolution.groups)


def _forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Tensor:
    """Convolve, in bf16 with a bias in fp32, which conv2d refuses.

    A bias rounded to bf16 shifts a whole channel: the light network's gradients got 1.4 times as
    far from those in fp32.
    """
    if x.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        convolve = torch.ops.aten.mkldnn_convolution
        result: Tensor = convolve(x, weight, bias, padding, stride, dilation, groups)
        return result
    bias = None if bias is None else bias.to(x.dtype)
    return functional.conv2d(x, weight, bias, stride, padding, dilation, groups)


def _is_slow(convolution: nn.Conv2d) -> bool:
    depthwise = convolution.in_channels == convolution.out_channels == convolution.groups
    shape = convolution.kernel_size[0], convolution.stride[0], convolution.padding
    return depthwise and shape in ((5, 1, (2, 2)), (5, 2, (2, 2)), (3, 2, (1, 1)))


class _Depthwise(torch.autograd.Function):
    """Depthwise convolution of 3 or 5 pixels with a stride of 1 or 2, padded by half its width."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: list[int],
        padding: list[int],
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return _forward(x, weight, bias, stride, padding, [1, 1], x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad = _packed(grads[0])
        stride = ctx.stride[0]
        rest = (None, ctx.stride, ctx.padding, [1, 1], False, [0, 0], x.shape[1])
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            given = (grad, x, weight)
            if stride > 1 and x.dtype == torch.bfloat16:  # slow in bf16 alone
                given = (grad.float(), torch.empty_like(x, dtype=torch.float32), weight.float())
            of_x = _gradients(*given, *rest, [True, False, False])[0].to(x.dtype)
        if ctx.needs_input_grad[1]:
            if weight.shape[2] == 3:
                of_weight = _gradients(grad, x, weight, *rest, [False, True, False])[1]
            else:
                of_weight = _wide_gradient(x, grad, stride)
        if ctx.needs_input_grad[2]:
            of_bias = grad.sum((0, 2, 3), dtype=torch.promote_types(grad.dtype, torch.float32))
        return of_x, of_weight, of_bias, None, None


def _wide_gradient(x: Tensor, grad: Tensor, stride: int) -> Tensor:
    """Compute the gradient of a weight (C, 1, 5, 5) from four of 3 x 3 without a stride.

    The pixels that three taps, a stride apart, multiply are an image of their own, and these taps
    are a kernel without a stride over it. Taps 0, 2, 4 and 1, 3 cover a stride of 2; 0, 1, 2 and
    2, 3, 4 cover a stride of 1.
    """
    channels, (height, width) = x.shape[1], grad.shape[2:]
    padded = functional.pad(x, (2, 2, 2, 2))
    narrow = grad.new_empty(channels, 1, 3, 3)
    whole = grad.new_zeros(channels, 1, 6, 6)  # a sixth tap: of 1, 3, 5 at a stride of 2
    rest = (None, [1, 1], [0, 0], [1, 1], False, [0, 0], channels, [False, True, False])
    starts = (0, 1) if stride == 2 else (0, 2)
    for top in starts:
        rows = padded[:, :, top : top + stride * (height + 1) + 1 : stride]
        for left in starts:
            seen = rows[:, :, :, left : left + stride * (width + 1) + 1 : stride]
            seen = _packed(seen)
            taps = (
                slice(top, top + 2 * stride + 1, stride),
                slice(left, left + 2 * stride + 1, stride),
            )
            whole[:, :, taps[0], taps[1]] = _gradients(grad, seen, narrow, *rest)[1]
    return whole[:, :, :5, :5]
