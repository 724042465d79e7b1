"""Batches of training scenes."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from training.data.priors import corrupt_prior
from training.data.scenes import Scene, SceneMaker
from vidbg.frame import Image
from vidbg.matting.preprocess import IMAGENET_MEAN, IMAGENET_STD, SIZE_DIVISOR

SIZES = (
    (224, 224), (192, 320), (224, 384), (256, 448), (288, 512), (288, 384), (352, 640), (576, 1024),
    (352, 352), (320, 256), (352, 224), (384, 256), (384, 288), (480, 320), (576, 384),
)  # fmt: skip
"""Training sizes (height, width): the shapes of frames at the sizes the program works at."""

Bytes = NDArray[np.uint8]


class Views(NamedTuple):
    """The images of a batch that the teacher sees.

    Attributes:
        rows: int64 (M,), their indices in the batch.
        images: uint8 (M, H, W, 3), BGR, both sides multiples of 32. The content is at the top left;
            its last row and column are repeated as padding.
        content: height and width of the content in pixels.
        trust: float32 (M,) in (0, 1], the teacher's share of the target.
    """

    rows: NDArray[np.int64]
    images: NDArray[np.uint8]
    content: tuple[int, int]
    trust: NDArray[np.float32]


class Batch(NamedTuple):
    """Frames of one size.

    Attributes:
        images: uint8 (N, H, W, 3), BGR.
        masks, priors: uint8 (N, H, W), true and previous alphas.
        fine: bool (N,), whether the mask is exact at the edge.
        earlier: images and masks of the previous frames, in a batch of clips.
        views: images for the teacher, if there is one and any of the scenes needs it.
    """

    images: Bytes
    masks: Bytes
    priors: Bytes
    fine: NDArray[np.bool_]
    earlier: tuple[Bytes, Bytes] | None
    views: Views | None = None


class Batches(Dataset[Batch]):
    """Batches as a function of (seed, index). All images of a batch have one of the `sizes`.

    Args:
        maker: makes the scenes.
        pixels: approximate number of pixels in a batch.
        seed: of all randomness.
        length: number of batches.
        sizes: heights and widths, multiples of 32.
        clips: share of the batches that are clips.
        priors: whether to make previous alphas; otherwise they are all zero.
        teacher_pixels: minimum size of the teacher's views; None for no teacher.
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
        teacher_pixels: int | None = None,
    ) -> None:
        self._maker, self._pixels, self._sizes = maker, pixels, sizes
        self._seed, self._length = seed, length
        self._clips, self._priors = clips, priors
        self._teacher_pixels = teacher_pixels

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self._seed, step))
        height, width = self._sizes[rng.integers(len(self._sizes))]
        count = max(1, round(self._pixels / (height * width)))
        scenes = [self._maker.make(rng, height, width) for _ in range(count)]
        taught = [self._teacher_pixels is not None and scene.trust > 0 for scene in scenes]
        frames, views = [], []
        for scene, shown in zip(scenes, taught, strict=True):
            if not shown:
                frames.append(scene.render(rng))
                continue
            image, mask, view = render_with_view(scene, rng, self._teacher_pixels or 0)
            frames.append((image, mask))
            views.append(view)
        images, masks = (np.stack(part) for part in zip(*frames, strict=True))
        lesson = _views(scenes, taught, views) if views else None
        priors = np.stack([corrupt_prior(rng, m) for m in masks]) if self._priors else masks * 0
        fine = np.array([not scene.coarse for scene in scenes])
        if rng.random() >= self._clips:
            return Batch(images, masks, priors, fine, None, lesson)
        still = self._maker.config.still
        before = [scene.render(rng, scene.motions(rng, still)) for scene in scenes]
        first, first_masks = (np.stack(part) for part in zip(*before, strict=True))
        return Batch(images, masks, priors, fine, (first, first_masks), lesson)


def render_with_view(
    scene: Scene, noise: Generator, pixels: int
) -> tuple[Image, NDArray[np.uint8], Image]:
    """Render a scene for the student, and larger and without degradation for the teacher.

    Both show the same, because the student's image is the view reduced and then degraded.

    Returns:
        The image, uint8 (height, width, 3), and mask, uint8 (height, width), at the scene's size;
        and the view, uint8 (H, W, 3), of about `pixels` pixels but at least the scene's size.
    """
    size = scene.width, scene.height
    view, mask = scene.enlarged(max(1.0, (pixels / (size[0] * size[1])) ** 0.5)).compose()
    image = np.asarray(cv2.resize(view, size, interpolation=cv2.INTER_AREA), np.uint8)
    mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)
    return scene.degrade(noise, image), mask, view


def _views(scenes: list[Scene], taught: list[bool], views: list[Image]) -> Views:
    """Pad the views, uint8 (H, W, 3), to multiples of 32, and add their rows and trust."""
    height, width = views[0].shape[:2]
    border = (0, -height % SIZE_DIVISOR, 0, -width % SIZE_DIVISOR, cv2.BORDER_REPLICATE)
    padded = np.stack([np.asarray(cv2.copyMakeBorder(v, *border), np.uint8) for v in views])
    trust = np.array([scene.trust for scene in scenes], np.float32)[taught]
    return Views(np.flatnonzero(taught), padded, (height, width), trust)


def to_input(images: Tensor, priors: Tensor | None = None) -> Tensor:
    """Normalise images for the network, channels last.

    Args:
        images: uint8 (N, H, W, 3), BGR.
        priors: float (N, H, W) in [0, 1], the previous alphas; None for zeros.
    Returns:
        float (N, 4, H, W): normalised R, G, B and the prior.
    """
    rgb = images.flip(-1).permute(0, 3, 1, 2).float() / 255
    mean = rgb.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    std = rgb.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
    fourth = torch.zeros_like(rgb[:, :1]) if priors is None else priors.unsqueeze(1)
    batch = torch.cat([(rgb - mean) / std, fourth], dim=1)
    return batch.contiguous(memory_format=torch.channels_last)
