"""Adjust the matte's edge: move it, soften it, and light it by the new background."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.compositing.scaling import resize, shrink
from vidbg.frame import Alpha, Image

Levels = NDArray[np.uint8]
"""Alpha in steps of 1/255."""

MAX_SIGMA_PX = 3.0
"""Widest Gaussian that is affordable at full size: 2.5 ms at 1280x720."""

WRAP_LINES = 90  # the light is computed on a grid of 90 to 179 lines
WRAP_SIGMA = 0.02  # how far it reaches in, as a share of the image's shorter side


def adjust_alpha(alpha: Alpha, offset_px: float, feather_px: float) -> Alpha:
    """Move the matte's edge and soften it.

    Args:
        alpha: float32 (H, W) in [0, 1].
        offset_px: how far the edge moves, in pixels of the frame: above 0 the person grows, below
            0 they shrink. A fraction interpolates between whole pixels.
        feather_px: sigma of the Gaussian that softens the edge, in pixels of the frame.
    Returns:
        float32 (H, W) in [0, 1]; a new array, or `alpha` itself if both are 0.
    """
    if offset_px:
        alpha = _move_edge(alpha, offset_px)
    if feather_px:
        blurred = _soften(alpha, feather_px)
        alpha = np.minimum(blurred, 1.0, out=blurred)  # rounding may exceed 1
    return alpha


def _move_edge(alpha: Alpha, offset_px: float) -> Alpha:
    """Dilate or erode by a disc, in steps of 1/255.

    At 1280x720 on one core of a Xeon it takes 2 to 4 ms for 1 to 100 pixels; `cv2.dilate` with a
    disc takes up to 1.5 s. Most of the time goes to new memory pages, so few float arrays are made.
    """
    grows = offset_px > 0
    whole, part = divmod(abs(offset_px), 1)
    scale, bottom = (255, 0) if grows else (-255, 255)  # eroding is dilating the outside
    levels = _dilate(np.asarray(cv2.convertScaleAbs(alpha, None, scale, bottom)), int(whole))
    more = _dilate(levels, 1) if part else levels
    weights = (1 - part) / scale, part / scale
    moved: Alpha = np.asarray(
        cv2.addWeighted(levels, weights[0], more, weights[1], 1 - grows, dtype=cv2.CV_32F)
    )
    np.clip(moved, 0, 1, out=moved)
    return (np.maximum if grows else np.minimum)(alpha, moved, out=moved)


def _dilate(levels: Levels, radius_px: int) -> Levels:
    """Dilate by a polygon of 16 corners that differs from a disc by less than 3 % or a pixel.

    The polygon is the Minkowski sum of eight line segments, and a segment is the sum of a few pairs
    of points, so each pass takes the maximum of the array and a shifted copy of it.

    Args:
        levels: uint8 (H, W).
    """
    border = (radius_px,) * 4
    levels = np.asarray(cv2.copyMakeBorder(levels, *border, cv2.BORDER_CONSTANT, value=0), np.uint8)
    for across, down in _moves(radius_px):
        height, width = levels.shape[0] - abs(down), levels.shape[1] - across
        top = max(0, -down)
        here = levels[top : top + height, :width]
        there = levels[top + down : top + down + height, across:]
        levels = np.asarray(cv2.max(here, there), np.uint8)
    return levels


def _moves(radius_px: int) -> Iterator[tuple[int, int]]:
    """Yield the shifts (across, down) that add up to the polygon; across is never negative.

    The number of steps in each direction makes its radius exact along both axes and nearly so along
    the diagonals.
    """
    knight = int(0.178 * radius_px)
    diagonal = max(0, min(round(0.586 * radius_px - 2 * knight), radius_px - 3 * knight - 1))
    straight = 2 * (radius_px - diagonal - 3 * knight)
    for steps, directions in (
        (straight, ((1, 0), (0, 1))),
        (diagonal, ((1, 1), (1, -1))),
        (knight, ((2, 1), (2, -1), (1, 2), (1, -2))),
    ):
        for across, down in directions:
            reached = 0
            while reached < steps:  # a segment of n steps can grow by n + 1 without a gap
                step = min(reached + 1, steps - reached)
                yield across * step, down * step
                reached += step


def _soften(alpha: Alpha, sigma_px: float) -> Alpha:
    """Blur by a Gaussian; a wide one at a smaller size, which looks the same."""
    small, scale = alpha, 1
    while sigma_px > MAX_SIGMA_PX * scale and min(small.shape) >= 4:
        small = resize(small, small.shape[0] // 2, small.shape[1] // 2)
        scale *= 2
    sigma = sigma_px
    if scale > 1:
        # Averaging over `scale` pixels and interpolating back blur as well, with variances of
        # scale^2 / 12 and scale^2 / 6.
        sigma = ((sigma_px / scale) ** 2 - 1 / 4) ** 0.5
    return resize(np.asarray(cv2.GaussianBlur(small, (0, 0), sigma), np.float32), *alpha.shape)


def wrap_light(image: Image, alpha: Alpha, background: Image, strength: float) -> Image:
    """Let the new background's light fall on the person's edge.

    The blurred background is added to the person, as far as the blurred outside reaches in, with
    the blend mode "screen": nothing gets darker.

    Args:
        image: uint8 (H, W, 3), BGR: the foreground.
        alpha: float32 (H, W) in [0, 1].
        background: uint8 (H, W, 3), BGR.
        strength: 0 to 1.
    Returns:
        uint8 (H, W, 3), BGR; a new array, or `image` itself at strength 0.
    """
    if strength == 0:
        return image
    outside = 1 - np.repeat(shrink(alpha, WRAP_LINES)[:, :, np.newaxis], 3, axis=2)
    sigma_px = WRAP_SIGMA * min(outside.shape[:2])
    shine = shrink(background, WRAP_LINES).astype(np.float32) * outside * (strength / 255)
    light = cv2.GaussianBlur(shine, (0, 0), sigma_px)
    kept = np.asarray(cv2.convertScaleAbs(255 * (1 - light)), np.uint8)
    dark = cv2.multiply(cv2.bitwise_not(image), resize(kept, *alpha.shape), scale=1 / 255)
    return np.asarray(cv2.bitwise_not(dark), np.uint8)
