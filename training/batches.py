"""Batches of training scenes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from training.augment import SceneMaker
from training.priors import disturbed

SIZES = (
    (224, 224), (192, 320), (224, 384), (256, 448), (288, 512), (288, 384), (352, 640), (576, 1024),
    (352, 352), (320, 256), (352, 224), (384, 256), (384, 288), (480, 320), (576, 384),
)  # fmt: skip
"""Training sizes (height, width): the shapes of frames at the sizes the program works at."""

Bytes = NDArray[np.uint8]


class Batch(NamedTuple):
    """Frames of one size, uint8: images (N, H, W, 3) BGR, masks and previous alphas (N, H, W).

    `fine`, bool (N,), says whose masks are right to the pixel at the edge; `earlier` are the images
    and masks of the frames before them, in a batch of clips.
    """

    images: Bytes
    masks: Bytes
    priors: Bytes
    fine: NDArray[np.bool_]
    earlier: tuple[Bytes, Bytes] | None


class Batches(Dataset[Batch]):
    """Batch number i as a function of (seed, i): every batch has one size, drawn from `sizes`.

    Args:
        pixels: of all pictures of a batch together, nearly.
        clips: share of the batches that are clips.
        priors: previous alphas are given; else they are all zero.
    """

    def __init__(
        self,
        maker: SceneMaker,
        pixels: int,
        seed: int,
        length: int,
        *,
        sizes: tuple[tuple[int, int], ...] = SIZES,
        clips: float = 0.0,
        priors: bool = False,
    ) -> None:
        self._maker, self._pixels, self._sizes = maker, pixels, sizes
        self._seed, self._length = seed, length
        self._clips, self._priors = clips, priors

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self._seed, step))
        height, width = self._sizes[rng.integers(len(self._sizes))]
        count = max(1, round(self._pixels / (height * width)))
        scenes = [self._maker.make(rng, height, width) for _ in range(count)]
        frames = [scene.render(rng) for scene in scenes]
        images, masks = (np.stack(part) for part in zip(*frames, strict=True))
        priors = np.stack([disturbed(rng, m) for m in masks]) if self._priors else masks * 0
        fine = np.array([not scene.coarse for scene in scenes])
        if rng.random() >= self._clips:
            return Batch(images, masks, priors, fine, None)
        still = self._maker.config.still
        before = [scene.render(rng, scene.motions(rng, still)) for scene in scenes]
        first, first_masks = (np.stack(part) for part in zip(*before, strict=True))
        return Batch(images, masks, priors, fine, (first, first_masks))
