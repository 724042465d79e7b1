"""Square blocks of an image, to limit work to the edge of the matte.

Rows of a block are copied whole. That is cheaper than selecting single edge pixels, especially if
most of a matte is soft.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Chosen = NDArray[np.bool_]
"""Which blocks of a picture are selected, bool (ceil(H / side), ceil(W / side))."""

CHUNK = 2048
"""Blocks handled at once, so that the work on them stays in the cache."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """K blocks of images of one size; blocks at the right and lower border are shifted inwards.

    Attributes:
        rows: of each block's pixels in the picture, (K, height of a block).
        columns: the same, (K, width of a block).
        shape: the pictures' height and width.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    shape: tuple[int, int]

    def take(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Copy the blocks of an image (H, W) or (H, W, C): (K, pixels of a block[, C])."""
        result = self._runs(np.ascontiguousarray(picture))[self._starts()]
        pixels = self.rows.shape[1] * self.columns.shape[1]
        return result.view(picture.dtype).reshape(len(result), pixels, *picture.shape[2:])

    def put(self, picture: NDArray[Any], values: NDArray[Any]) -> None:
        """Write the modified result of `take` into a C-contiguous image."""
        runs = self._runs(picture)
        height = self.rows.shape[1]
        runs[self._starts()] = values.reshape(len(values), height, -1).view(runs.dtype)[..., 0]

    def pixels(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows (K, h, 1) and columns (K, 1, w) of the blocks' pixels."""
        return self.rows[:, :, np.newaxis], self.columns[:, np.newaxis, :]

    def indices(self) -> NDArray[np.intp]:
        """Flat indices (K, pixels of a block) of the blocks' pixels."""
        inside = np.arange(self.columns.shape[1])
        return (self._starts()[:, :, np.newaxis] + inside).reshape(len(self.rows), -1)

    def _starts(self) -> NDArray[np.intp]:
        """Flat indices (K, h) of each row's first pixel."""
        return self.rows * self.shape[1] + self.columns[:, :1]

    def _runs(self, picture: NDArray[Any]) -> NDArray[np.void]:
        """View each run of a block's width as one element, which is copied as a whole."""
        pixel = picture.strides[1]
        width = self.columns.shape[1]
        count = picture.shape[0] * picture.shape[1] - width + 1
        return np.ndarray((count,), f"V{pixel * width}", picture, strides=(pixel,))


def blocks_of(chosen: Chosen, side: int, shape: tuple[int, int]) -> Iterator[Blocks]:
    """Yield the chosen blocks of images of a height and width, in chunks; nothing if none."""
    tops, lefts = np.nonzero(chosen)
    for start in range(0, len(tops), CHUNK):
        part = slice(start, start + CHUNK)
        rows, columns = (
            np.clip(places[part] * side, 0, max(0, length - side))[:, np.newaxis]
            + np.arange(min(side, length))
            for places, length in zip((tops, lefts), shape, strict=True)
        )
        yield Blocks(rows, columns, shape)


def runs_of(chosen: Chosen, side: int) -> Iterator[tuple[slice, slice]]:
    """Return the pixel rows and columns of each run of adjacent chosen blocks."""
    height, width = chosen.shape
    between = np.zeros((height, width + 1), np.bool_)
    between[:, 0], between[:, width] = chosen[:, 0], chosen[:, -1]
    np.not_equal(chosen[:, 1:], chosen[:, :-1], out=between[:, 1:width])
    rows, columns = np.nonzero(between)
    ends = zip(rows[::2].tolist(), columns[::2].tolist(), columns[1::2].tolist(), strict=True)
    for row, first, last in ends:
        yield np.s_[row * side : (row + 1) * side, first * side : last * side]
