"""Scores on clips with true alpha, as the program computes it: with state from frame to frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import PictureSet, find_sets, read_sample
from training.metrics import boundary_f, dtssd, flicker, mad, segmentation_scores
from training.validate import Scores
from vidbg.matting.matter import Matter

FRAME_RATE = 25.0
"""Taken for the clips' frames, which carry no time."""


def score_clips(matter: Matter, root: Path) -> dict[str, Scores]:
    """iou, boundary_f, mad, dtssd and flicker of each clip, a folder with `images/`, `masks/`.

    Frames are the pictures in the order of their names.
    """
    return {clip.name: score_clip(matter, clip) for clip in find_sets(root)}


def score_clip(matter: Matter, clip: PictureSet) -> Scores:
    """Means over the frames of one clip; the matter is reset before it."""
    matter.reset()
    pairs = [read_sample(sample) for sample in clip.samples]
    images = np.stack([image for image, _ in pairs])
    truths: NDArray[np.float32] = np.stack([m for _, m in pairs]) * np.float32(1 / 255)
    alphas = np.stack([matter(image, i / FRAME_RATE) for i, image in enumerate(images)])
    frames = list(zip(alphas, truths, strict=True))
    return {
        "iou": float(np.mean([segmentation_scores(a, t).iou for a, t in frames])),
        "boundary_f": float(np.mean([boundary_f(a, t) for a, t in frames])),
        "mad": float(np.mean([mad(a, t) for a, t in frames])),
        "dtssd": dtssd(alphas, truths),
        "flicker": flicker(alphas, truths, images),
    }
