"""The segmentation network: a ResNet-50 encoder and a decoder that gives soft alpha.

The encoder keeps torchvision's parameter names, so public ImageNet weights load into
``network.encoder`` unrenamed. It has the strides of the first publication ("v1": He et al., Deep
Residual Learning for Image Recognition, 2015): in the first block of layer2, layer3 and layer4
the stride sits on the first 1x1 convolution, where torchvision ("v1.5") puts it on the 3x3.

torch is needed only for training, export and the PyTorch backend, so import this module only in
code that serves one of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import Bottleneck

INPUT_CHANNELS = 4
"""Normalised R, G and B, then the previous frame's alpha (zeros when there is none)."""

_ENCODER_CHANNELS = (64, 256, 512, 1024, 2048)
_CONTEXT_CHANNELS = 256
_DECODER_CHANNELS = (192, 128, 64, 32)
_SKIP_CHANNELS = (128, 96, 64, 64)
_HEAD_CHANNELS = 16


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1
) -> nn.Sequential:
    """Make a convolution that keeps the image size, with batch norm and ReLU."""
    padding = dilation * (kernel_size // 2)
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class Encoder(nn.Module):
    """Base of the encoders: feature maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's size."""

    def forward(self, x: Tensor) -> list[Tensor]:
        raise NotImplementedError

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Load public ImageNet weights; the prior's channel starts at zero."""
        raise NotImplementedError

    def first_layers(self) -> list[nn.Module]:
        """Return the layers at 1/2 and 1/4 of the size, which training may freeze."""
        raise NotImplementedError


class ResNet50Encoder(Encoder):
    """ResNet-50 without its classifier, with v1 strides and a fourth input channel.

    The feature maps have 64, 256, 512, 1024 and 2048 channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of
    the input's size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(INPUT_CHANNELS, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _layer(64, 64, blocks=3, stride=1)
        self.layer2 = _layer(256, 128, blocks=4, stride=2)
        self.layer3 = _layer(512, 256, blocks=6, stride=2)
        self.layer4 = _layer(1024, 512, blocks=3, stride=2)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = [self.relu(self.bn1(self.conv1(x)))]
        features.append(self.layer1(self.maxpool(features[-1])))
        for layer in (self.layer2, self.layer3, self.layer4):
            features.append(layer(features[-1]))
        return features

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Load ImageNet weights by torchvision's names; the prior's channel starts at zero."""
        state = {
            name: value.float() for name, value in weights.items() if not name.startswith("fc.")
        }
        conv1 = state["conv1.weight"]
        if conv1.shape[1] < INPUT_CHANNELS:
            missing = INPUT_CHANNELS - conv1.shape[1]
            state["conv1.weight"] = functional.pad(conv1, (0, 0, 0, 0, 0, missing))
        load_by_name(self, state)

    def first_layers(self) -> list[nn.Module]:
        return [self.conv1, self.bn1, self.layer1]


def load_by_name(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights by name; torch's batch norm counters may be missing."""
    counters = {n: v for n, v in module.state_dict().items() if n.endswith("num_batches_tracked")}
    module.load_state_dict({**counters, **weights})


def _layer(in_channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    """Make a layer of ResNet-50 with v1 strides."""
    out_channels = width * Bottleneck.expansion
    downsample = nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )
    first = Bottleneck(in_channels, width, stride, downsample)
    first.conv1.stride, first.conv2.stride = (stride, stride), (1, 1)
    rest = [Bottleneck(out_channels, width) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


class Context(nn.Module):
    """Context of the deepest features: atrous, average, max and global pooling.

    Based on ASPP (Chen et al., Rethinking Atrous Convolution, 2017), with pooled branches next to
    the atrous ones. The global branch is added, not concatenated, so any input size can be
    exported.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.reduce = conv_bn_relu(in_channels, out_channels, 1)
        self.atrous = nn.ModuleList(
            conv_bn_relu(out_channels, out_channels // 2, 3, dilation) for dilation in (2, 4)
        )
        self.average = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1), conv_bn_relu(out_channels, out_channels // 4, 1)
        )
        self.maximum = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), conv_bn_relu(out_channels, out_channels // 4, 1)
        )
        self.everywhere = nn.Conv2d(out_channels, out_channels, 1)
        self.project = conv_bn_relu(out_channels * 5 // 2, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        branches = [x, *(branch(x) for branch in self.atrous), self.average(x), self.maximum(x)]
        local: Tensor = self.project(torch.cat(branches, dim=1))
        everywhere: Tensor = self.everywhere(x.mean(dim=(2, 3), keepdim=True))
        return local + everywhere


class UpBlock(nn.Module):
    """Upsampling by 2, concatenation with the encoder's features, two convolutions."""

    def __init__(
        self, in_channels: int, encoder_channels: int, skip_channels: int, out_channels: int
    ) -> None:
        super().__init__()
        self.skip = conv_bn_relu(encoder_channels, skip_channels, 1)
        self.join = conv_bn_relu(in_channels + skip_channels, out_channels, 3)
        self.refine = conv_bn_relu(out_channels, out_channels, 3)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        joined = torch.cat([double_size(x), self.skip(features)], dim=1)
        out: Tensor = self.refine(self.join(joined))
        return out


def double_size(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class AlphaNetwork(nn.Module):
    """Base of the networks that compute alpha.

    Input: float (N, 4, H, W), H and W multiples of 32: RGB in [0, 1] normalised by ImageNet's mean
    and standard deviation, then the previous frame's alpha in [0, 1], zeros when there is none.
    Output: float (N, 1, H, W), alpha in [0, 1]; 1 is the person.
    """

    encoder: Encoder

    def logits(self, x: Tensor) -> Tensor:
        """Compute alpha before the sigmoid, float (N, 1, H, W)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(x))

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load the whole network's weights by name, in any floating type."""
        load_by_name(self, {name: value.float() for name, value in weights.items()})


class MattingNetwork(AlphaNetwork):
    """ResNet-50 encoder-decoder with about 27 million parameters."""

    encoder: ResNet50Encoder

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ResNet50Encoder()
        self.context = Context(_ENCODER_CHANNELS[-1], _CONTEXT_CHANNELS)
        inputs = (_CONTEXT_CHANNELS, *_DECODER_CHANNELS[:-1])
        shapes = zip(
            inputs, reversed(_ENCODER_CHANNELS[:-1]), _SKIP_CHANNELS, _DECODER_CHANNELS, strict=True
        )
        self.decoder = nn.ModuleList(UpBlock(*shape) for shape in shapes)
        self.head = nn.Sequential(
            conv_bn_relu(_DECODER_CHANNELS[-1] + INPUT_CHANNELS, _HEAD_CHANNELS, 3),
            nn.Conv2d(_HEAD_CHANNELS, 1, 3, padding=1),
        )

    def logits(self, x: Tensor) -> Tensor:
        *skips, deepest = self.encoder(x)
        out = self.context(deepest)
        for block, features in zip(self.decoder, reversed(skips), strict=True):
            out = block(out, features)
        logits: Tensor = self.head(torch.cat([double_size(out), x], dim=1))
        return logits
