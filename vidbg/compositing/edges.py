"""The matte's edge as the user wants it: wider, narrower, softer, lit by the new background."""

from __future__ import annotations

import cv2
import numpy as np

from vidbg.compositing.scaling import resize, shrink
from vidbg.frame import Alpha, Image

WRAP_LINES = 90  # the light is found on a grid of 90 to 179 lines
WRAP_SIGMA = 0.02  # how far it reaches in, as a share of the picture's shorter side


def adjust_alpha(alpha: Alpha, offset_px: float, feather_px: float) -> Alpha:
    """Move the matte's edge and soften it.

    Args:
        alpha: float32 (H, W) in [0, 1].
        offset_px: how far the edge moves, in pixels of the frame: above 0 the person grows, below
            they shrink. Fractions lie between the two whole steps.
        feather_px: Gaussian sigma by which the edge is softened, in pixels of the frame.
    Returns:
        float32 (H, W) in [0, 1]; a new array, but `alpha` itself at 0 and 0.
    """
    if offset_px:
        alpha = _move_edge(alpha, offset_px)
    if feather_px:
        blurred = cv2.GaussianBlur(alpha, (0, 0), feather_px)
        alpha = np.minimum(blurred, 1.0, dtype=np.float32)  # rounding may pass 1
    return alpha


def _move_edge(alpha: Alpha, offset_px: float) -> Alpha:
    move = cv2.dilate if offset_px > 0 else cv2.erode
    whole, part = divmod(abs(offset_px), 1)
    moved = move(alpha, _disc(int(whole)))
    if part:
        moved = (1 - part) * moved + part * move(alpha, _disc(int(whole) + 1))
    return np.asarray(moved, np.float32)


def _disc(radius_px: int) -> Image:
    side = 2 * radius_px + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def wrap_light(image: Image, alpha: Alpha, background: Image, strength: float) -> Image:
    """Let the new background's light fall on the person's edge.

    The background is blurred and laid over the person as far as the blurred outside reaches in,
    by "screen": light is added and nothing gets darker.

    Args:
        image: uint8 (H, W, 3), BGR: the foreground.
        alpha: float32 (H, W) in [0, 1].
        background: uint8 (H, W, 3), BGR.
        strength: 0 to 1.
    Returns:
        uint8 (H, W, 3), BGR; a new array, but `image` itself at strength 0.
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
