"""The baseline: the network of the program that this project started from, for the same data.

It is trained for comparison with `MattingNetwork`, to measure what the newer network gains. Its
recipe: images of 256 x 256, binary cross-entropy alone, Adam at 1e-4, the rate reduced on a
plateau, early stopping.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import SqueezeExcitation

from vidbg.matting.network import AlphaNetwork, ResNet50Encoder, conv_bn_relu

STRIDE = 16
"""The input's size over that of the encoder's features and of the logits before up-sampling."""

_ENCODER_CHANNELS = 1024
_CHANNELS = 256
_DILATIONS = (6, 12, 18)
_SQUEEZE_CHANNELS = _CHANNELS // 8


class SeedEncoder(ResNet50Encoder):
    """ResNet-50 up to conv4 (`layer3`, stride 16), which sees the colours alone.

    The fourth input channel, the previous frame's alpha, is replaced by zeros: the first
    convolution keeps its four channels, so that weights load as they do elsewhere.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layer4 = nn.Sequential()

    def forward(self, x: Tensor) -> list[Tensor]:
        """Feature maps of float (N, 4, H, W); the last has 1024 channels at 1/16 of the size."""
        return super().forward(functional.pad(x[:, :3], (0, 0, 0, 0, 0, 1)))

    def load_imagenet(self, weights: Mapping[str, Tensor]) -> None:
        """Load ImageNet weights by torchvision's names, without those of `layer4` and `fc`."""
        kept = {name: w for name, w in weights.items() if not name.startswith("layer4.")}
        super().load_imagenet(kept)


class AtrousPooling(nn.Module):
    """Context of each feature at several distances and from the entire image, float (N, 256, h, w).

    ASPP of Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation, 2017,
    section 3.3. The branch over the entire image has a bias in place of batch norm, which has
    nothing to normalise when a batch holds one image.
    """

    def __init__(self) -> None:
        super().__init__()
        self.near = conv_bn_relu(_ENCODER_CHANNELS, _CHANNELS, 1)
        self.atrous = nn.ModuleList(
            conv_bn_relu(_ENCODER_CHANNELS, _CHANNELS, 3, dilation) for dilation in _DILATIONS
        )
        self.everywhere = nn.Sequential(
            nn.Conv2d(_ENCODER_CHANNELS, _CHANNELS, 1), nn.ReLU(inplace=True)
        )
        self.project = conv_bn_relu((2 + len(_DILATIONS)) * _CHANNELS, _CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        local = [self.near(x), *(branch(x) for branch in self.atrous)]
        everywhere = self.everywhere(x.mean(dim=(2, 3), keepdim=True)).expand_as(local[0])
        out: Tensor = self.project(torch.cat([*local, everywhere], dim=1))
        return out


class SeedNetwork(AlphaNetwork):
    """ResNet-50 to conv4, atrous pooling, squeeze-and-excitation: about 18 million parameters.

    Everything after the encoder works at 1/16 of the size. One bilinear up-sampling by 16 brings
    the logits to the input's size, so edges are coarse. H and W may be any multiples of 16, and the
    input's fourth channel is ignored.
    """

    encoder: SeedEncoder

    def __init__(self) -> None:
        super().__init__()
        self.encoder = SeedEncoder()
        self.context = AtrousPooling()
        self.decoder = nn.Sequential(
            SqueezeExcitation(_CHANNELS, _SQUEEZE_CHANNELS),
            conv_bn_relu(_CHANNELS, _CHANNELS, 3),
            conv_bn_relu(_CHANNELS, _CHANNELS, 3),
            SqueezeExcitation(_CHANNELS, _SQUEEZE_CHANNELS),
        )
        self.head = nn.Conv2d(_CHANNELS, 1, 1)

    def logits(self, x: Tensor) -> Tensor:
        coarse = self.head(self.decoder(self.context(self.encoder(x)[-1])))
        return functional.interpolate(
            coarse, scale_factor=float(STRIDE), mode="bilinear", align_corners=False
        )
