"""The field's measures of a matte, on one picture, and of its stillness, on a clip.

Alphas are float32 (H, W) in [0, 1]: `alpha` the prediction, `truth` the true one. MAD, MSE, Grad,
Conn and dtSSD are scaled as in Robust Video Matting's evaluation (Lin et al., 2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.frame import Alpha

THRESHOLD = 0.5
FALSE_PERSON_SHARE = 0.01
STILL_LEVELS = 2
BOUNDARY_TOLERANCE = 0.008
"""Of the picture's diagonal: how far two boundaries may lie apart (Perazzi et al., DAVIS, 2016)."""

GREY = (0.1, 0.9)
"""Alphas between these are neither person nor background."""

GRAD_SIGMA, GRAD_RADIUS = 1.4, 4
"""Of the Gaussian whose derivatives Grad takes, in pixels."""

CONN_LEVELS = np.linspace(0, 1, 11, dtype=np.float32)
CONN_LEAST = 0.15
"""How far above its level an alpha must lie to count as cut off from the rest."""


@dataclass(frozen=True, slots=True)
class SegmentationScores:
    """Agreement of the masks alpha >= 0.5."""

    iou: float
    precision: float
    recall: float
    f1: float


def segmentation_scores(alpha: Alpha, truth: Alpha) -> SegmentationScores:
    """IoU, precision, recall and F1; each 1 where both masks are empty."""
    predicted, true = alpha >= THRESHOLD, truth >= THRESHOLD
    both = int(np.count_nonzero(predicted & true))
    n_predicted, n_true = int(np.count_nonzero(predicted)), int(np.count_nonzero(true))
    either = n_predicted + n_true - both
    if either == 0:
        return SegmentationScores(1.0, 1.0, 1.0, 1.0)
    return SegmentationScores(
        iou=both / either,
        precision=both / n_predicted if n_predicted else 0.0,
        recall=both / n_true if n_true else 0.0,
        f1=2 * both / (n_predicted + n_true),
    )


def boundary_f(alpha: Alpha, truth: Alpha) -> float:
    """F-measure of the masks' outlines, matched within 0.008 of the diagonal."""
    edges = [_boundary(a >= THRESHOLD) for a in (alpha, truth)]
    if not edges[0].any() or not edges[1].any():
        return float(edges[0].any() == edges[1].any())
    disk = _disk(*alpha.shape)
    near = [cv2.dilate(edge.astype(np.uint8), disk) > 0 for edge in edges]
    precision = np.count_nonzero(edges[0] & near[1]) / np.count_nonzero(edges[0])
    recall = np.count_nonzero(edges[1] & near[0]) / np.count_nonzero(edges[1])
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _disk(height: int, width: int) -> NDArray[np.uint8]:
    """The disk within which outlines of an image of this size count as equal."""
    radius = int(np.ceil(BOUNDARY_TOLERANCE * np.hypot(height, width)))
    span = np.arange(-radius, radius + 1)
    return ((span[:, None] ** 2 + span[None] ** 2) <= radius**2).astype(np.uint8)


def _boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels whose right, lower or lower right neighbour is of the other kind (DAVIS' seg2bmap)."""
    right, below, beyond = mask.copy(), mask.copy(), mask.copy()
    right[:, :-1], below[:-1] = mask[:, 1:], mask[1:]
    beyond[:-1, :-1] = mask[1:, 1:]
    edge = (mask ^ right) | (mask ^ below) | (mask ^ beyond)
    edge[-1], edge[:, -1] = (mask ^ right)[-1], (mask ^ below)[:, -1]
    edge[-1, -1] = False
    return edge


def grey_interior(alpha: Alpha, truth: Alpha) -> float:
    """Share of pixels that are neither person nor background where they should be, x 1000.

    These are alphas between 0.1 and 0.9 further from the true edge than two outlines may lie apart
    in `boundary_f`: half-transparent people, and ghosts in the background. The true edge is the
    mask's outline and whatever is soft in the truth.
    """
    edge = _boundary(truth >= THRESHOLD) | ((truth > GREY[0] / 2) & (truth < 1 - GREY[0] / 2))
    near = cv2.dilate(edge.astype(np.uint8), _disk(*alpha.shape)) > 0
    return float(((alpha > GREY[0]) & (alpha < GREY[1]) & ~near).mean()) * 1e3


def mad(alpha: Alpha, truth: Alpha) -> float:
    """Mean absolute difference, in thousandths."""
    return float(np.abs(alpha - truth).mean()) * 1e3


def mse(alpha: Alpha, truth: Alpha) -> float:
    """Mean squared difference, in thousandths."""
    return float(np.square(alpha - truth).mean()) * 1e3


def grad(alpha: Alpha, truth: Alpha) -> float:
    """Error of the edges: the sum of squared differences of gradient magnitude, in thousands.

    Both alphas are stretched to [0, 1] first. Gradients are those of a Gaussian of 1.4 pixels
    (Rhemann et al., A Perceptually Motivated Online Benchmark for Image Matting, 2009).
    """
    return float(np.square(_slope(truth) - _slope(alpha)).sum()) / 1e3


def _slope(alpha: Alpha) -> NDArray[np.float32]:
    """Gradient magnitude; zero for a flat alpha."""
    low, high = float(alpha.min()), float(alpha.max())
    stretched = (alpha - low) * np.float32(1 / (high - low) if high > low else 0)
    smooth, derivative = gaussian_kernels()
    across, down = (
        cv2.sepFilter2D(stretched, cv2.CV_32F, kx, ky, borderType=cv2.BORDER_REPLICATE)
        for kx, ky in ((derivative, smooth), (smooth, derivative))
    )
    return np.asarray(cv2.magnitude(across, down), np.float32)


def gaussian_kernels() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The Gaussian and its derivative, float64 (9,), each of L2 norm 1; so is their product."""
    span = np.arange(-GRAD_RADIUS, GRAD_RADIUS + 1)
    smooth = np.exp(-(span**2) / (2 * GRAD_SIGMA**2))
    derivative = -span * smooth
    return smooth / np.linalg.norm(smooth), derivative / np.linalg.norm(derivative)


def conn(alpha: Alpha, truth: Alpha) -> float:
    """Error of what hangs together: the sum of differences of connectedness, in thousands.

    A pixel is connected up to the highest of ten levels at which it belongs to the largest
    4-connected component of what both alphas hold; an alpha that rises 0.15 or more above that
    counts as cut off by as much (Rhemann et al., 2009). Ten labellings, some 25 ms at 640 x 480.
    """
    connected = _connected_up_to(np.minimum(alpha, truth))
    excess = [a - connected for a in (alpha, truth)]
    cut_off = [np.where(e >= CONN_LEAST, e, 0) for e in excess]
    return float(np.abs(cut_off[0] - cut_off[1]).sum()) / 1e3


def _connected_up_to(common: Alpha) -> Alpha:
    """The level up to which each pixel belongs to the largest component of alpha >= level."""
    highest = np.ones_like(common)
    left = np.ones(common.shape, np.bool_)
    for below, level in pairwise(CONN_LEVELS):
        inside = _largest_component(common >= level)
        highest[left & ~inside] = below
        left &= inside
    return highest


def _largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    if count == 1:
        return mask
    found: NDArray[np.bool_] = labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])
    return found


def dtssd(alphas: NDArray[np.float32], truths: NDArray[np.float32]) -> float:
    """Stillness of a clip, float32 (T, H, W): root mean square error of the changes, x 100.

    Averaged over the frames, the first of which counts as 0 (Erofeev et al., 2015, as Robust Video
    Matting's evaluation does it).
    """
    errors = np.diff(alphas, axis=0) - np.diff(truths, axis=0)
    per_frame = np.sqrt(np.square(errors).mean(axis=(1, 2))) * 1e2
    return float(per_frame.sum() / len(alphas))


def flicker(
    alphas: NDArray[np.float32], truths: NDArray[np.float32], images: NDArray[np.uint8]
) -> float:
    """Mean change of alpha from frame to frame where neither picture nor truth changed, x 1000.

    A picture counts as unchanged where no channel moved by more than 2 grey levels.

    Args:
        alphas, truths: float32 (T, H, W) in [0, 1].
        images: uint8 (T, H, W, 3).
    Returns:
        The mean over those frames that have such pixels; 0 where none has.
    """
    changes = []
    for i in range(1, len(alphas)):
        moved = np.abs(images[i].astype(np.int16) - images[i - 1]).max(axis=2)
        still = (moved <= STILL_LEVELS) & (truths[i] == truths[i - 1])
        if still.any():
            changes.append(float(np.abs(alphas[i] - alphas[i - 1])[still].mean()))
    return float(np.mean(changes)) * 1e3 if changes else 0.0


def person_share(alpha: Alpha) -> float:
    """How much of the picture is called person, 0 to 1."""
    return float((alpha >= THRESHOLD).mean())


def is_false_person(alpha: Alpha) -> bool:
    """Of a picture without people: more than 1 % of it is called person."""
    return person_share(alpha) > FALSE_PERSON_SHARE
