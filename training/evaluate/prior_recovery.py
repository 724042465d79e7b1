"""How soon a network that sees its previous alpha recovers from a wrong one.

A clip is computed twice, the second time with one wrong previous alpha. The score is the number of
frames until both runs agree again. There is no smoothing, so that only the network is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.image_sets import ImageSet, find_sets, read_sample
from training.evaluate.clip_scores import FRAME_RATE
from vidbg.config import MattingConfig
from vidbg.frame import Alpha
from vidbg.matting.backends import Backend
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.video_matting import VideoMatting

Infer = Callable[[NDArray[np.float32]], Alpha]

WRONG: dict[str, Callable[[Alpha], Alpha]] = {
    "everything": np.ones_like,
    "nobody": np.zeros_like,
    "mirrored": lambda prior: np.ascontiguousarray(prior[:, ::-1]),
    "inverse": lambda prior: 1 - prior,
}
"""Wrong previous alphas, each made from the right one, float32 (h, w)."""

AT_FRAME = 10
AGREED = 2e-3
"""Mean absolute difference of alpha below which two runs agree."""


class _WrongOnce:
    """Backend whose input has a wrong previous alpha in one frame."""

    def __init__(self, backend: Infer, wrong: Callable[[Alpha], Alpha]) -> None:
        self._backend, self._wrong, self._calls = backend, wrong, 0

    def __call__(self, batch: NDArray[np.float32]) -> Alpha:
        if self._calls == AT_FRAME:
            batch = batch.copy()
            batch[0, 3] = self._wrong(batch[0, 3])
        self._calls += 1
        return self._backend(batch)


def _alphas(infer: Infer, clip: ImageSet, pixels: int) -> list[Alpha]:
    config = MattingConfig(network_pixels=pixels, smoothing_s=0.0, prior=True)
    matter = VideoMatting(config=config, backend=ConstantBackend(infer))
    images = (read_sample(sample)[0] for sample in clip.samples)
    return [matter(image, i / FRAME_RATE) for i, image in enumerate(images)]


def frames_to_recover(right: list[Alpha], wronged: list[Alpha]) -> int:
    """Count frames from the wrong one to the last in which two runs differ."""
    pairs = zip(right[AT_FRAME:], wronged[AT_FRAME:], strict=True)
    differ = [float(np.abs(a - b).mean()) > AGREED for a, b in pairs]
    return max((i + 1 for i, d in enumerate(differ) if d), default=0)


def score_recovery(backend: Backend, root: Path, pixels: int) -> dict[str, dict[str, int]]:
    """Count the frames to recovery for each clip below a folder and each of WRONG."""
    scores = {}
    for clip in find_sets(root):
        right = _alphas(backend, clip, pixels)
        scores[clip.name] = {
            name: frames_to_recover(right, _alphas(_WrongOnce(backend, wrong), clip, pixels))
            for name, wrong in WRONG.items()
        }
    return scores
