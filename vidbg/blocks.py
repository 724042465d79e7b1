"""Square blocks of a picture, so that work is done where the matte's edge runs and not elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Blocks = NDArray[np.bool_]
"""Which blocks of a picture are meant, bool (ceil(H / side), ceil(W / side))."""


def block_pixels(blocks: Blocks, side: int, shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Flat indices (N,) of the pixels that lie in blocks.

    Blocks over the picture's right or lower border are moved in: what they then share with their
    neighbour may occur twice.

    Args:
        side: of a block, in pixels.
        shape: the picture's height and width.
    """
    height, width = shape
    tops, lefts = np.nonzero(blocks)
    tops = np.maximum(np.minimum(tops * side, height - side), 0)
    lefts = np.maximum(np.minimum(lefts * side, width - side), 0)
    rows = np.arange(min(side, height))[:, np.newaxis]
    inside = (rows * width + np.arange(min(side, width))).ravel()
    return ((tops * width + lefts)[:, np.newaxis] + inside).ravel()


def block_runs(blocks: Blocks, side: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of pixels of each run of blocks that lie side by side."""
    changes = np.diff(np.pad(blocks, ((0, 0), (1, 1))).view(np.int8))
    rows, starts = np.nonzero(changes > 0)
    ends = np.nonzero(changes < 0)[1]
    for row, start, end in zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True):
        yield np.s_[row * side : (row + 1) * side, start * side : end * side]
