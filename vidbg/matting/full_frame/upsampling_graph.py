"""Upsampling on a GPU: alpha from the network's size to the frame's.

The twin of `vidbg.matting.upsample`, whose constants it uses. The fit is computed everywhere and
the edge's band is chosen at the end. Change both, then run `make graphs`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vidbg.matting import upsample
from vidbg.util.tensor_ops import blur, planes_of, resize


def grey(picture: Tensor) -> Tensor:
    """Twin of `upsample.grey`: luma (1, 1, h, w) of BGR planes (1, 3, h, w)."""
    blue, green, red = (float(weight) for weight in upsample.GREY)
    return blue * picture[:, :1] + green * picture[:, 1:2] + red * picture[:, 2:]


def enlarge(alpha: Tensor, small: Tensor, frame: Tensor) -> Tensor:
    """Twin of `upsample.upsample`: alpha (1, 1, h, w) to (1, 1, H, W)."""
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
