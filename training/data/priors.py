"""Previous alphas for training, the network's fourth input; many are wrong on purpose.

A network that always gets the true alpha learns to copy it. Here the true mask is moved, made
thinner or thicker, blurred, torn or replaced by another, and often there is none, as in the first
frame of a stream. So the network learns to trust it only where the image agrees.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.data.image_sets import Mask
from training.data.person_windows import small_motion

NONE_SHARE = 0.35

OWN_SHARE = 0.6
"""Share of the frames in a batch of clips that get the network's own previous alpha."""


def corrupt_prior(rng: Generator, mask: Mask) -> Mask:
    """Make a previous alpha, uint8 (H, W), from the true mask; zeros stand for none."""
    if rng.random() < NONE_SHARE:
        return np.zeros_like(mask)
    ways = (_moved, _moved, _thicker, _blurred, _torn, _wrong)
    return ways[rng.integers(len(ways))](rng, mask)


def own_priors(rng: Generator, count: int) -> NDArray[np.bool_]:
    """Choose the frames that get the network's own previous alpha, bool (count,)."""
    return np.asarray(rng.random(count) < OWN_SHARE)


def _moved(rng: Generator, mask: Mask) -> Mask:
    height, width = mask.shape
    motion = small_motion(rng, height, width)
    still = cv2.warpAffine(mask, motion, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(still, np.uint8)


def _thicker(rng: Generator, mask: Mask) -> Mask:
    side = int(rng.integers(1, max(3, mask.shape[0] // 24)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * side + 1, 2 * side + 1))
    change = cv2.dilate if rng.random() < 0.5 else cv2.erode
    return np.asarray(change(_moved(rng, mask), kernel), np.uint8)


def _blurred(rng: Generator, mask: Mask) -> Mask:
    sigma = rng.uniform(1, mask.shape[0] / 30 + 1)
    return np.asarray(cv2.GaussianBlur(_moved(rng, mask), (0, 0), sigma), np.uint8)


def _torn(rng: Generator, mask: Mask) -> Mask:
    """Remove parts of the person and add parts of the room."""
    out = np.ascontiguousarray(_moved(rng, mask))
    height, width = mask.shape
    for _ in range(rng.integers(1, 5)):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = tuple(int(a) for a in rng.uniform(0.04, 0.3, 2) * height)
        value = 255 if rng.random() < 0.5 else 0
        cv2.ellipse(out, centre, axes, rng.uniform(0, 180), 0, 360, value, cv2.FILLED)
    return out


def _wrong(rng: Generator, mask: Mask) -> Mask:
    """Replace the mask by one that has nothing to do with the frame."""
    way = rng.integers(4)
    if way == 0:
        return np.full_like(mask, 255)
    if way == 1:
        return np.ascontiguousarray(mask[:, ::-1])
    if way == 2:
        return np.ascontiguousarray(255 - mask)
    shift = int(rng.uniform(0.2, 0.8) * mask.shape[1])
    return np.roll(mask, shift, axis=1)
