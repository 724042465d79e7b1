"""Batches of training pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from training.augment import PairMaker

SIZES = (
    (224, 224), (256, 256), (192, 320), (224, 384), (320, 256),
    (288, 384), (384, 288), (256, 448), (288, 512), (352, 352),
)  # fmt: skip
"""Training sizes (height, width): the shapes of frames around the sizes the program works at."""


class Batches(Dataset[tuple[NDArray[np.uint8], NDArray[np.uint8]]]):
    """Batch number i as a function of (seed, i): every batch has one size, drawn from SIZES."""

    def __init__(self, maker: PairMaker, pixels: int, seed: int, length: int) -> None:
        self._maker = maker
        self._pixels = pixels
        self._seed = seed
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, step: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        rng = np.random.default_rng((self._seed, step))
        height, width = SIZES[rng.integers(len(SIZES))]
        count = max(2, round(self._pixels / (height * width)))
        pairs = [self._maker.make(rng, height, width) for _ in range(count)]
        return np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])
