"""The matting of one frame as a torch module, for devices that compute the full frame.

The twin of `vidbg.matting.video_matting`: the same steps in the same order, on tensors. Where a
step on the CPU treats only the edge's pixels, its twin computes all pixels and chooses the band at
the end.
Pixel arithmetic is fp32, the network fp16. Change both, then run `make graphs`.

No size is fixed: the frame's comes from `frame`, the network's from `rows` and `columns`, the
content's (see Geometry) from the state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidbg.matting.full_frame.brightness_graph import apply_gain
from vidbg.matting.full_frame.smoothing_graph import blurred_luma, is_cut, stillness
from vidbg.matting.full_frame.upsampling_graph import enlarge
from vidbg.matting.network import AlphaNetwork
from vidbg.matting.preprocess import IMAGENET_MEAN, IMAGENET_STD
from vidbg.matting.video_matting import SETTLED
from vidbg.util.tensor_ops import resample


class TypedNetwork(nn.Module):
    """The network in fp16, with fp32 input and output and an fp32 sigmoid.

    Batch norms keep their parameters in fp32 because the largest variance overflows in fp16.
    """

    def __init__(self, network: AlphaNetwork) -> None:
        super().__init__()
        self.network = network
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.half()

    def forward(self, batch: Tensor) -> Tensor:
        return self.network.logits(batch.half()).float().sigmoid()


class MattingGraph(nn.Module):
    """Module that computes a frame's alpha and the new state from the frame and the state.

    Args of the call:
        frame: float32 (1, H, W, 3), BGR, whole numbers in 0..255.
        alpha, luma: the state, float32 (1, 1, content height, content width): smoothed alpha and
            blurred luma of the previous frame; ignored where `keep` and `prior` are 0.
        keep: float32 (1,), the share of the previous alpha that a still pixel keeps:
            exp(-seconds since / time constant), or 0 without a previous frame.
        prior: float32 (1,), 1 to show the network its previous alpha, else 0.
        rows, columns: float16 (h, H) and (W, w), as `preprocess.shrinking` gives them.
    Returns:
        alpha of the frame, float32 (1, 1, H, W), and the new state.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: AlphaNetwork) -> None:
        super().__init__()
        self.network = TypedNetwork(network)
        blue_first = torch.tensor([IMAGENET_MEAN[::-1], IMAGENET_STD[::-1]]) * 255
        mean, std = blue_first.view(2, 1, 3, 1, 1)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(
        self,
        frame: Tensor,
        alpha: Tensor,
        luma: Tensor,
        keep: Tensor,
        prior: Tensor,
        rows: Tensor,
        columns: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        padded = resample(frame, rows, columns).round()
        height, width = alpha.shape[2], alpha.shape[3]
        small = padded[:, :, :height, :width]
        observed = blurred_luma(small)
        change = (observed - luma).abs()
        held = 1 - is_cut(change)
        bottom, right = padded.shape[2] - height, padded.shape[3] - width
        shown = functional.pad(alpha * prior * held, (0, right, 0, bottom), mode="replicate")
        colours = ((apply_gain(padded, small) - self.mean) / self.std).flip(1)
        answer = self.network(torch.cat([colours, shown], 1))[:, :, :height, :width]
        smoothed = answer + keep * held * stillness(change) * (alpha - answer)
        return enlarge(apply_levels(smoothed), small, frame), smoothed, observed


def apply_levels(alpha: Tensor) -> Tensor:
    """Twin of `vidbg.matting.video_matting.apply_levels`."""
    low, high = SETTLED
    return ((alpha - low) / (high - low)).clamp(0, 1)
