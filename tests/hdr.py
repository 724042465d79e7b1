"""The transfer curves and colour matrices of HDR, from the standards."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SDR_WHITE_NITS = 203  # ITU-R BT.2408
TO_2020 = np.array(  # ITU-R BT.2087, linear RGB
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
)
TO_P3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])


def pq(nits: NDArray[Any]) -> NDArray[Any]:
    """SMPTE ST 2084."""
    power = (nits / 10_000) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def hlg(nits: NDArray[Any]) -> NDArray[Any]:
    """ITU-R BT.2100 for a display of 1000 cd/m2: its system gamma undone, then the curve."""
    shown = nits / 1000
    luminance = shown @ np.array([0.2627, 0.6780, 0.0593])
    scene = shown * np.maximum(luminance, 1e-9)[..., np.newaxis] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    upper = a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
    return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper))


def nits_of_pq(sample: NDArray[Any]) -> NDArray[Any]:
    """SMPTE ST 2084, the other way."""
    root = sample ** (1 / 78.84375)
    ratio = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return np.asarray(10_000 * ratio ** (1 / 0.1593017578125))


def nits_of_hlg(sample: NDArray[Any]) -> NDArray[Any]:
    """ITU-R BT.2100 for a display of 1000 cd/m2."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(sample <= 0.5, sample**2 / 3, (np.exp((sample - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    return np.asarray(1000 * scene * luminance[..., np.newaxis] ** 0.2)
