"""The field's metrics of alpha, on single images and, for stability, on clips.

Alphas are float32 (H, W) in [0, 1]: `alpha` is predicted, `truth` is true. MAD, MSE, Grad,
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
"""Distance at which boundaries match, as a share of the diagonal (Perazzi et al., DAVIS, 2016)."""

GREY = (0.1, 0.9)
"""Alphas between these are neither person nor background."""

GRAD_SIGMA, GRAD_RADIUS = 1.4, 4
"""Sigma and radius of the Gaussian whose derivatives Grad uses, in pixels."""

CONN_LEVELS = np.linspace(0, 1, 11, dtype=np.float32)
CONN_LEAST = 0.15
"""How far alpha must exceed its connected level to count as cut off."""


@dataclass(frozen=True, slots=True)
class SegmentationScores:
    """Agreement of the masks alpha >= 0.5, each in [0, 1]."""

    iou: float
    precision: float
    recall: float
    f1: float


def segmentation_scores(alpha: Alpha, truth: Alpha) -> SegmentationScores:
    """Compute IoU, precision, recall and F1; each is 1 if both masks are empty."""
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
    """Compute the F-measure of the masks' outlines, matched within 0.008 of the diagonal."""
    edges = [_boundary(a >= THRESHOLD) for a in (alpha, truth)]
    if not edges[0].any() or not edges[1].any():
        return float(edges[0].any() == edges[1].any())
    disk = _disk(*alpha.shape)
    near = [cv2.dilate(edge.astype(np.uint8), disk) > 0 for edge in edges]
    precision = np.count_nonzero(edges[0] & near[1]) / np.count_nonzero(edges[0])
    recall = np.count_nonzero(edges[1] & near[0]) / np.count_nonzero(edges[1])
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _disk(height: int, width: int) -> NDArray[np.uint8]:
    """Make the disk within which outlines of an image of this size match, uint8."""
    radius = int(np.ceil(BOUNDARY_TOLERANCE * np.hypot(height, width)))
    span = np.arange(-radius, radius + 1)
    return ((span[:, None] ** 2 + span[None] ** 2) <= radius**2).astype(np.uint8)


def _boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find pixels whose right, lower or lower right neighbour differs (DAVIS' seg2bmap)."""
    right, below, beyond = mask.copy(), mask.copy(), mask.copy()
    right[:, :-1], below[:-1] = mask[:, 1:], mask[1:]
    beyond[:-1, :-1] = mask[1:, 1:]
    edge = (mask ^ right) | (mask ^ below) | (mask ^ beyond)
    edge[-1], edge[:, -1] = (mask ^ right)[-1], (mask ^ below)[:, -1]
    edge[-1, -1] = False
    return edge


def grey_interior(alpha: Alpha, truth: Alpha) -> float:
    """Compute the share of grey pixels away from every true edge, x 1000.

    Grey pixels have an alpha between 0.1 and 0.9: half-transparent people, and ghosts in the
    background. True edges are the mask's outline and all pixels whose true alpha is soft; away
    means further than outlines that match in `boundary_f`.
    """
    edge = _boundary(truth >= THRESHOLD) | ((truth > GREY[0] / 2) & (truth < 1 - GREY[0] / 2))
    near = cv2.dilate(edge.astype(np.uint8), _disk(*alpha.shape)) > 0
    return float(((alpha > GREY[0]) & (alpha < GREY[1]) & ~near).mean()) * 1e3


def mad(alpha: Alpha, truth: Alpha) -> float:
    """Compute the mean absolute difference, x 1000."""
    return float(np.abs(alpha - truth).mean()) * 1e3


def mse(alpha: Alpha, truth: Alpha) -> float:
    """Compute the mean squared difference, x 1000."""
    return float(np.square(alpha - truth).mean()) * 1e3


def grad(alpha: Alpha, truth: Alpha) -> float:
    """Compute the error at edges: the sum of squared differences of gradients, in thousands.

    Both alphas are stretched to [0, 1] first. Gradients are those of a Gaussian of 1.4 pixels
    (Rhemann et al., A Perceptually Motivated Online Benchmark for Image Matting, 2009).
    """
    return float(np.square(_slope(truth) - _slope(alpha)).sum()) / 1e3


def _slope(alpha: Alpha) -> NDArray[np.float32]:
    """Compute the gradient magnitude; it is 0 for a flat alpha."""
    low, high = float(alpha.min()), float(alpha.max())
    stretched = (alpha - low) * np.float32(1 / (high - low) if high > low else 0)
    smooth, derivative = gaussian_kernels()
    across, down = (
        cv2.sepFilter2D(stretched, cv2.CV_32F, kx, ky, borderType=cv2.BORDER_REPLICATE)
        for kx, ky in ((derivative, smooth), (smooth, derivative))
    )
    return np.asarray(cv2.magnitude(across, down), np.float32)


def gaussian_kernels() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make a Gaussian and its derivative, float64 (9,), each with an L2 norm of 1."""
    span = np.arange(-GRAD_RADIUS, GRAD_RADIUS + 1)
    smooth = np.exp(-(span**2) / (2 * GRAD_SIGMA**2))
    derivative = -span * smooth
    return smooth / np.linalg.norm(smooth), derivative / np.linalg.norm(derivative)


def conn(alpha: Alpha, truth: Alpha) -> float:
    """Compute the error of connectivity: the sum of its differences, in thousands.

    A pixel is connected up to the highest of ten levels at which it belongs to the largest
    4-connected component of both alphas' minimum. An alpha that exceeds this level by 0.15 or more
    is cut off by that amount (Rhemann et al., 2009). It takes about 25 ms at 640 x 480.
    """
    connected = _connected_up_to(np.minimum(alpha, truth))
    excess = [a - connected for a in (alpha, truth)]
    cut_off = [np.where(e >= CONN_LEAST, e, 0) for e in excess]
    return float(np.abs(cut_off[0] - cut_off[1]).sum()) / 1e3


def _connected_up_to(common: Alpha) -> Alpha:
    """Find the level up to which each pixel is in the largest component of alpha >= level."""
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
    result: NDArray[np.bool_] = labels == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])
    return result


def dtssd(alphas: NDArray[np.float32], truths: NDArray[np.float32]) -> float:
    """Compute the stability of a clip: root mean square error of the changes, x 100.

    It is the mean over the frames, of which the first counts as 0 (Erofeev et al., 2015, as in
    Robust Video Matting's evaluation).

    Args:
        alphas, truths: float32 (T, H, W) in [0, 1].
    """
    errors = np.diff(alphas, axis=0) - np.diff(truths, axis=0)
    per_frame = np.sqrt(np.square(errors).mean(axis=(1, 2))) * 1e2
    return float(per_frame.sum() / len(alphas))


def flicker(
    alphas: NDArray[np.float32], truths: NDArray[np.float32], images: NDArray[np.uint8]
) -> float:
    """Compute the mean change of alpha where neither image nor truth changed, x 1000.

    An image is unchanged where no channel changed by more than 2 levels.

    Args:
        alphas, truths: float32 (T, H, W) in [0, 1].
        images: uint8 (T, H, W, 3).
    Returns:
        The mean over the frames that have such pixels; 0 if none has.
    """
    changes = []
    for i in range(1, len(alphas)):
        moved = np.abs(images[i].astype(np.int16) - images[i - 1]).max(axis=2)
        still = (moved <= STILL_LEVELS) & (truths[i] == truths[i - 1])
        if still.any():
            changes.append(float(np.abs(alphas[i] - alphas[i - 1])[still].mean()))
    return float(np.mean(changes)) * 1e3 if changes else 0.0


def person_share(alpha: Alpha) -> float:
    """Compute the share of the image called person, in [0, 1]."""
    return float((alpha >= THRESHOLD).mean())


def is_false_person(alpha: Alpha) -> bool:
    """Return whether more than 1 % of an image without people is called person."""
    return person_share(alpha) > FALSE_PERSON_SHARE
