"""The matting of one frame as a torch module, for engines that hold the whole road.

The same steps as preprocess, matter, temporal and upsample take on the CPU, in their order, on
tensors. Where those treat the edge's pixels only, everything is computed here and the band chosen
at the end. Pixel arithmetic is fp32, the network fp16.

No size is fixed: the frame's comes from `frame`, the network's from `rows` and `columns`, the
content's (see Geometry) from the state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidbg.matting import temporal, upsample
from vidbg.matting.network import AlphaNetwork
from vidbg.matting.preprocess import (
    BRIGHT_LEVEL,
    BRIGHT_SHARE,
    IMAGENET_MEAN,
    IMAGENET_STD,
    MAX_GAIN,
)
from vidbg.matting.video_matting import SETTLED
from vidbg.tensor_ops import blur, planes_of, resample, resize

NOISE_COUNTED = 4
"""Medians from here on are all the same noise: see `stillness`."""


class TypedNetwork(nn.Module):
    """The network in fp16 between fp32 tensors; the sigmoid is taken in fp32.

    Batch norms keep their parameters in fp32: the largest variance is not finite in fp16.
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
    """From a frame and the state to alpha and the new state.

    Args of the call:
        frame: float32 (1, H, W, 3), BGR, whole numbers in 0..255.
        alpha, luma: the state, float32 (1, 1, content height, content width): smoothed alpha and
            blurred luma of the frame before; anything where `keep` and `prior` are 0.
        keep: float32 (1,), how much a still pixel keeps: exp(-seconds since / time constant), 0
            where there is no frame before.
        prior: float32 (1,), 1 to show the network its last alpha, else 0.
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
        seen = blurred_luma(small)
        change = (seen - luma).abs()
        held = 1 - is_cut(change)
        bottom, right = padded.shape[2] - height, padded.shape[3] - width
        shown = functional.pad(alpha * prior * held, (0, right, 0, bottom), mode="replicate")
        colours = ((brighten(padded, small) - self.mean) / self.std).flip(1)
        found = self.network(torch.cat([colours, shown], 1))[:, :, :height, :width]
        smoothed = found + keep * held * stillness(change) * (alpha - found)
        return enlarge(settle(smoothed), small, frame), smoothed, seen


def grey(picture: Tensor) -> Tensor:
    """Luma (1, 1, h, w) of BGR planes (1, 3, h, w)."""
    blue, green, red = (float(weight) for weight in upsample.GREY)
    return blue * picture[:, :1] + green * picture[:, 1:2] + red * picture[:, 2:]


def blurred_luma(small: Tensor) -> Tensor:
    return blur(grey(small).round(), 3).round()


def brighten(padded: Tensor, small: Tensor) -> Tensor:
    """As preprocess.brighten: `padded` with the gain that its content, `small`, asks for."""
    gain = (BRIGHT_LEVEL / bright_level(grey(small).round()).clamp(min=1)).clamp(1, MAX_GAIN)
    return (padded * gain).round().clamp(max=255)


def bright_level(levels: Tensor) -> Tensor:
    """The least level, 0 to 255, that BRIGHT_SHARE of these whole numbers do not exceed; (1,).

    By bisection: eight passes over a small picture in place of sorting it.
    """
    found = torch.zeros_like(levels[0, 0, 0, :1])
    for step in (128, 64, 32, 16, 8, 4, 2, 1):
        share = (levels <= found + (step - 1)).float().mean()
        found = found + step * (share < BRIGHT_SHARE).float()
    return found


def is_cut(change: Tensor) -> Tensor:
    """1 at a scene cut, else 0."""
    share = (change > temporal.CUT_CHANGE).float().mean()
    return (share > temporal.CUT_SHARE).float()


def stillness(change: Tensor) -> Tensor:
    """As temporal.stillness, for changes that are whole numbers.

    Sorting is left out: the median comes from how many changes are at most 0, 1, 2 and 3, and from
    1.75 on every median means the most noise.
    """
    count = torch.ones_like(change).sum()
    middles = torch.floor((count - 1) / 2), torch.floor(count / 2)
    twice_median = torch.zeros_like(count)
    for level in range(NOISE_COUNTED):
        below = (change <= level).float().sum()
        twice_median = twice_median + sum((below <= middle).float() for middle in middles)
    noise = (temporal.NOISE_LEVELS + twice_median).clamp(max=temporal.MAX_NOISE_LEVELS)
    side = temporal.MOTION_REACH
    reach = functional.max_pool2d(change, side, stride=1, padding=side // 2)
    return ((noise + temporal.MOTION_LEVELS - reach) / temporal.MOTION_LEVELS).clamp(0, 1)


def settle(alpha: Tensor) -> Tensor:
    low, high = SETTLED
    return ((alpha - low) / (high - low)).clamp(0, 1)


def enlarge(alpha: Tensor, small: Tensor, frame: Tensor) -> Tensor:
    """As upsample.upsample, (1, 1, h, w) to (1, 1, H, W)."""
    size = (frame.shape[1], frame.shape[2])
    full, slope, offset = (resize(picture, size) for picture in (alpha, *_fit(alpha, small)))
    image = grey(planes_of(frame)) / 255
    low, high = upsample.BAND
    edge = (full >= low) & (full <= high)
    return torch.where(edge, (slope * image + offset).clamp(0, 1), full)


def _fit(alpha: Tensor, small: Tensor) -> tuple[Tensor, Tensor]:
    image = grey(small) / 255
    mean_image, mean_alpha = _mean(image), _mean(alpha)
    variance = _mean(image * image) - mean_image * mean_image
    covariance = _mean(image * alpha) - mean_image * mean_alpha
    slope = covariance / (variance + upsample.EPSILON)
    return _mean(slope), _mean(mean_alpha - slope * mean_image)


def _mean(picture: Tensor) -> Tensor:
    return blur(picture, 2 * upsample.RADIUS + 1)
