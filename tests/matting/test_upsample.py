"""Enlarged alpha follows the frame's edges and stays clean elsewhere."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidbg.frame import Alpha, Image
from vidbg.matting import upsample as module
from vidbg.matting.upsample import upsample


def shrunk(picture: NDArray[Any], side: int) -> NDArray[Any]:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))


def disk(size: int = 512) -> tuple[Image, Alpha]:
    """Draw a dark person on a lit, textured wall; return it with the true alpha."""
    rng = np.random.default_rng(0)
    canvas = np.zeros((size * 2, size * 2), np.uint8)
    cv2.circle(canvas, (size, size), size // 2, 255, -1)
    alpha = shrunk(canvas, size).astype(np.float32) * np.float32(1 / 255)
    wall = rng.normal(190, 6, (size, size, 1))
    image = wall * (1 - alpha[..., None]) + rng.normal(60, 6, (size, size, 1)) * alpha[..., None]
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8), 3, axis=2), alpha


def test_edges_are_nearer_to_the_truth_than_bilinear() -> None:
    image, truth = disk()
    small = shrunk(image, 128)
    coarse = shrunk(truth, 128)
    bilinear = cv2.resize(coarse, (512, 512), interpolation=cv2.INTER_LINEAR)
    errors = [float(np.abs(a - truth).mean()) for a in (upsample(coarse, small, image), bilinear)]
    assert errors[0] < 0.7 * errors[1]


@given(value=st.sampled_from([0.0, 0.25, 1.0]))
def test_a_constant_stays_constant(value: float) -> None:
    image, _ = disk(128)
    small = shrunk(image, 32)
    out = upsample(np.full((32, 32), value, np.float32), small, image)
    np.testing.assert_allclose(out, value, atol=1e-4)  # rounding of the fit in float32


@settings(max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), st.floats(1, 6), st.integers(0, 2**32 - 1))
def test_no_edge_is_missed_for_looking_in_blocks(
    height: int, width: int, scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image: Image = rng.integers(
        0, 256, (int(height * scale), int(width * scale), 3), dtype=np.uint8
    )
    small = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    spots = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 6)
    alpha = np.clip(spots * 20 + rng.uniform(-1, 1), 0, 1).astype(np.float32)
    result = upsample(alpha, small, image)
    with pytest.MonkeyPatch.context() as patch:
        everywhere = np.ones([-(-side // module.BLOCK_PX) for side in image.shape[:2]], np.bool_)
        patch.setattr(module, "_edge_blocks", lambda *_: everywhere)
        dense = upsample(alpha, small, image)
    assert float(np.abs(result - dense).max()) <= 1e-5


def test_a_hard_edge_on_pixel_borders_stays_hard() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    alpha = np.zeros((32, 32), np.float32)
    alpha[:, 16:] = 1
    out = upsample(alpha, image[::2, ::2], image)
    assert set(np.unique(out[:, :30])) == {0}
    assert set(np.unique(out[:, 34:])) == {1}


def test_inside_and_outside_stay_as_they_are() -> None:
    image, truth = disk()
    small = shrunk(image, 128)
    coarse = shrunk(truth, 128)
    out = upsample(coarse, small, image)
    assert out[250:262, 250:262].min() == 1
    assert out[:40, :40].max() == 0
    assert out.dtype == np.float32
    assert 0 <= out.min() <= out.max() <= 1


def test_the_same_size_is_a_copy() -> None:
    image, truth = disk(64)
    out = upsample(truth, image, image)
    np.testing.assert_array_equal(out, truth)
    assert out is not truth
