"""Scores on clips with true alpha, computed as the program does, with state between frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.image_sets import ImageSet, find_sets, read_sample
from training.evaluate.metrics import boundary_f, dtssd, flicker, mad, mse, segmentation_scores
from training.evaluate.quick_scores import OVERALL, Scores, mean_scores
from vidbg.config import MattingConfig
from vidbg.frame import Alpha, Image
from vidbg.matting.backends import Backend
from vidbg.matting.lookahead import lookahead_for
from vidbg.matting.video_matting import VideoMatting

FRAME_RATE = 25.0
"""Assumed for the frames of clips, which have no time stamps."""

STATES: dict[str, dict[str, Any]] = {
    "smoothed": {"prior": False},
    "looking ahead": {"prior": False, "quality": "best"},
    "not smoothed": {"prior": False, "smoothing_s": 0.0},
    "prior, smoothed": {"prior": True},
    "prior": {"prior": True, "smoothing_s": 0.0},
}
"""What is kept between frames, as changes to the default settings; each gives a row of scores."""


def score_states(backend: Backend, root: Path, pixels: int) -> dict[str, dict[str, Scores]]:
    """Score the clips in each of STATES. The caller owns the backend."""
    usual = MattingConfig(network_pixels=pixels)
    return {
        state: score_clips(VideoMatting(config=replace(usual, **changes), backend=backend), root)
        for state, changes in STATES.items()
    }


def score_clips(matter: VideoMatting, root: Path) -> dict[str, Scores]:
    """Compute iou, boundary_f, mad, mse, dtssd and flicker of each clip below a folder.

    A clip is a folder with `images/` and `masks/`; its frames are the images in the order of
    their names. The mean over the clips is under OVERALL.
    """
    scores = {clip.name: score_clip(matter, clip) for clip in find_sets(root)}
    return scores | {OVERALL: mean_scores(list(scores.values()))}


def score_clip(matter: VideoMatting, clip: ImageSet) -> Scores:
    """Compute means over the frames of one clip, after a reset of `matter`."""
    matter.reset()
    pairs = [read_sample(sample) for sample in clip.samples]
    images = np.stack([image for image, _ in pairs])
    truths: NDArray[np.float32] = np.stack([m for _, m in pairs]) * np.float32(1 / 255)
    alphas = np.stack(clip_alphas(matter, list(images)))
    frames = list(zip(alphas, truths, strict=True))
    return {
        "iou": float(np.mean([segmentation_scores(a, t).iou for a, t in frames])),
        "boundary_f": float(np.mean([boundary_f(a, t) for a, t in frames])),
        "mad": float(np.mean([mad(a, t) for a, t in frames])),
        "mse": float(np.mean([mse(a, t) for a, t in frames])),
        "dtssd": dtssd(alphas, truths),
        "flicker": flicker(alphas, truths, images),
    }


def clip_alphas(matter: VideoMatting, images: Sequence[Image]) -> list[Alpha]:
    """Compute the alphas of a clip as `vidbg process` does at the matter's quality."""
    lookahead = lookahead_for(matter.config)
    if lookahead is None:
        return [matter(image, i / FRAME_RATE) for i, image in enumerate(images)]
    ready = []
    for number, image in enumerate(images):
        small, estimate = matter.estimate(image, number / FRAME_RATE)
        ready += lookahead.push((small, image), small, estimate, number / FRAME_RATE)
    ready += lookahead.flush()
    return [matter.enlarge(alpha, small, image) for (small, image), alpha in ready]
