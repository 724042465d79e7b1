"""Too little and too much contrast between a person and the background."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidbg.frame import Image


def camouflage(rng: Generator, background: Image, person: Image, mask: NDArray[np.uint8]) -> Image:
    """Draw the background's mean colour and brightness towards those of the clothes.

    Args:
        background, person: uint8 (H, W, 3); mask: uint8 (H, W), the person's.
    Returns:
        A new array; the background keeps its texture.
    """
    rows = np.flatnonzero(mask.max(1) > 127)
    if not len(rows):
        return background
    clothes = mask > 200
    clothes[: int(rows[0] + 0.4 * (rows[-1] - rows[0]))] = False  # head and neck
    inner = cv2.erode(clothes.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    outline = clothes & ~inner
    if outline.sum() < 20:
        return background
    colour, usual = person[outline].mean(0), background.reshape(-1, 3).mean(0)
    shift = rng.uniform(0.5, 1.0) * (colour - usual)
    return np.asarray(np.clip(background + shift + 0.5, 0, 255), np.uint8)


def backlight(rng: Generator, background: Image) -> tuple[Image, float]:
    """Brighten the background; return it with the factor by which people darken."""
    lifted = 255 - (255 - background.astype(np.float32)) / rng.uniform(1.3, 3.0)
    return np.asarray(lifted + 0.5, np.uint8), float(rng.uniform(0.35, 0.8))
