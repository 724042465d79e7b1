"""Pixel operations on torch tensors that match OpenCV's, for the exported graphs.

torch is needed only to export graphs; import this module only there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def resample(picture: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Resample float32 (1, H, W, 3) by (h, H) and (W, w) to float32 planes (1, 3, h, w).

    It computes in the matrices' type; in fp16 the error is less than half a grey level. Rows come
    first, so that the picture is read in its memory order and only the small result is transposed.
    """
    height, width = picture.shape[1], picture.shape[2]
    lines = torch.matmul(rows, picture.to(rows.dtype).reshape(height, width * 3))
    planes = lines.reshape(1, -1, width, 3).permute(0, 3, 1, 2)
    return torch.matmul(planes, columns).float()


def resize(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize bilinearly to (height, width)."""
    return functional.interpolate(planes, size, mode="bilinear", align_corners=False)


def blur(planes: Tensor, side: int) -> Tensor:
    """Average over side x side pixels, with the border mirrored."""
    border = side // 2
    mirrored = functional.pad(planes, (border, border, border, border), mode="reflect")
    return functional.avg_pool2d(mirrored, side, stride=1)


def planes_of(picture: Tensor) -> Tensor:
    """Rearrange (1, H, W, 3) as (1, 3, H, W)."""
    return picture.permute(0, 3, 1, 2)
