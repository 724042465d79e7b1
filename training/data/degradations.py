"""Degradations of webcams: light, colour, blur, low light, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidbg.frame import Image


def gaussian(image: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def relight(rng: Generator, image: Image) -> Image:
    """Vary exposure, contrast, gamma and colour temperature, by one table per channel."""
    if rng.random() < 0.2:
        return image
    warmth = rng.normal(0, 0.07)
    gains = rng.uniform(0.75, 1.25) * np.array([1 - warmth, 1 + rng.normal(0, 0.02), 1 + warmth])
    gamma = np.exp(rng.normal(0, 0.18))
    levels = np.linspace(0, 1, 256)[:, None] ** gamma * gains + rng.uniform(-0.06, 0.06)
    table = np.clip(levels * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table.reshape(1, 256, 3)), np.uint8)


def degrade(rng: Generator, noise: Generator, image: Image) -> Image:
    """Degrade an image as a webcam might.

    Args:
        rng: chooses the degradations; use the same state for all frames of a clip.
        noise: draws the sensor's noise, which differs in every frame.
    """
    image = relight(rng, image)
    if rng.random() < 0.25:
        factor = rng.uniform(0.0, 1.6)
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        image = np.asarray(cv2.addWeighted(image, factor, grey, 1 - factor, 0), np.uint8)
    if rng.random() < 0.2:  # out of focus, or moved
        if rng.random() < 0.5:
            image = gaussian(image, rng.uniform(0.5, 1.6))
        else:
            kernel = _streak(rng, int(rng.integers(3, 10)))
            image = np.asarray(cv2.filter2D(image, -1, kernel), np.uint8)
    if rng.random() < 0.12:
        image = _coarsen(image, rng.uniform(1.3, 2.5))
    if rng.random() < 0.12:
        image = np.asarray(cv2.convertScaleAbs(image, alpha=rng.uniform(0.25, 0.6)), np.uint8)
    if rng.random() < 0.4:
        image = _noise(noise, image, abs(rng.normal(0, 8)) + 1, coarse=rng.random() < 0.5)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))]
        _, data = cv2.imencode(".jpg", image, quality)
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return image


def _streak(rng: Generator, length: int) -> NDArray[np.float32]:
    """Make the kernel of a straight motion in a random direction; it sums to 1."""
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D(((length - 1) / 2,) * 2, rng.uniform(0, 180), 1)
    kernel = np.asarray(cv2.warpAffine(kernel, turn, (length, length)), np.float32)
    return kernel / np.float32(max(float(kernel.sum()), 1e-6))


def blur_motion(
    rng: Generator, image: Image, mask: NDArray[np.uint8]
) -> tuple[Image, NDArray[np.uint8]]:
    """Blur a part of a person, such as an arm, by motion: its colours and its mask.

    Args:
        image: uint8 (H, W, 3); mask: uint8 (H, W), both at the scene's size.
    Returns:
        New arrays; the colours are the person's alone, without the background.
    """
    ys, xs = np.nonzero(mask > 127)
    if not len(ys):
        return image, mask
    # A soft ellipse around a random pixel of the person is what moves.
    height, width = mask.shape
    at = rng.integers(len(ys))
    region = np.zeros((height, width), np.float32)
    axes = tuple(int(a) for a in rng.uniform(0.08, 0.3, 2) * height + 2)
    cv2.ellipse(
        region, (int(xs[at]), int(ys[at])), axes, rng.uniform(0, 180), 0, 360, 1, cv2.FILLED
    )
    region = np.asarray(cv2.GaussianBlur(region, (0, 0), 0.03 * height), np.float32)
    # Blur alpha and premultiplied colour alike, and blend both in by the region.
    kernel = _streak(rng, max(5, int(rng.uniform(0.03, 0.14) * height)))
    alpha = mask.astype(np.float32) * np.float32(1 / 255)
    moved_alpha = np.asarray(cv2.filter2D(alpha, -1, kernel), np.float32)
    moved_colour = np.asarray(cv2.filter2D(image * alpha[..., None], -1, kernel), np.float32)
    weight = alpha + region * (moved_alpha - alpha)
    colour = image * alpha[..., None]
    colour += region[..., None] * (moved_colour - colour)
    # Divide by alpha again; where there is hardly any, the colour does not matter.
    person = np.where(
        weight[..., None] > 0.004, colour / np.maximum(weight, 1e-3)[..., None], image
    )
    return (
        np.clip(person + 0.5, 0, 255).astype(np.uint8),
        np.clip(weight * 255 + 0.5, 0, 255).astype(np.uint8),
    )


def _coarsen(image: Image, factor: float) -> Image:
    height, width = image.shape[:2]
    small = cv2.resize(
        image, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _noise(rng: Generator, image: Image, sigma: float, *, coarse: bool) -> Image:
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(sigma)
    if coarse:  # after demosaicking, noise spans more than a pixel
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.8), np.float32) * np.float32(2)
    return np.clip(image + noise, 0, 255).astype(np.uint8)
