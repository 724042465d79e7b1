"""Pixel operations on torch tensors as OpenCV does them, for the rooms' graphs.

torch is needed to export graphs only; import this module where that is done.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def resample(picture: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """A picture float32 (1, H, W, 3) times (h, H) and (W, w): float32 planes (1, 3, h, w).

    In the matrices' type, which in fp16 errs by less than half a grey level. Rows come first: the
    picture is read as it lies and only a small one transposed.
    """
    height, width = picture.shape[1], picture.shape[2]
    lines = torch.matmul(rows, picture.to(rows.dtype).reshape(height, width * 3))
    planes = lines.reshape(1, -1, width, 3).permute(0, 3, 1, 2)
    return torch.matmul(planes, columns).float()


def resize(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear to (height, width)."""
    return functional.interpolate(planes, size, mode="bilinear", align_corners=False)


def blur(planes: Tensor, side: int) -> Tensor:
    """Mean over side x side pixels, the border mirrored."""
    border = side // 2
    mirrored = functional.pad(planes, (border, border, border, border), mode="reflect")
    return functional.avg_pool2d(mirrored, side, stride=1)


def planes_of(picture: Tensor) -> Tensor:
    """(1, H, W, 3) as (1, 3, H, W)."""
    return picture.permute(0, 3, 1, 2)
