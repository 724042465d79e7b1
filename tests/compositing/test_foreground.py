"""Foreground colours: closer to the truth than the camera's colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidbg.compositing import foreground
from vidbg.compositing.blend import composite
from vidbg.compositing.foreground import OPAQUE, composite_foreground, estimate_foreground
from vidbg.compositing.still_composite import StillComposite
from vidbg.frame import Alpha, Image

RED, GREEN = (40, 50, 200), (60, 220, 80)


def soft_disc(height: int, width: int, blur_px: float) -> Alpha:
    alpha = np.zeros((height, width), np.float32)
    cv2.circle(alpha, (width // 2, height // 2), min(height, width) // 4, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), blur_px), np.float32)


def plain(height: int, width: int, colour: tuple[int, int, int]) -> Image:
    return np.full((height, width, 3), colour, np.uint8)


def mix(foreground: Image, alpha: Alpha, background: Image) -> Image:
    weight = alpha[..., np.newaxis]
    return np.rint(weight * foreground + (1 - weight) * background).astype(np.uint8)


def edge_error(estimate: Image, truth: Image, alpha: Alpha) -> float:
    """Mean error in codes at soft pixels, as far as a composite shows it."""
    soft = (alpha > 0.02) & (alpha < 0.98)
    difference = np.abs(estimate.astype(np.float32) - truth) * alpha[..., np.newaxis]
    return float(difference[soft].mean())


@pytest.mark.parametrize(
    ("height", "width", "share"), [(96, 96, 0.35), (361, 641, 0.1), (720, 1280, 0.1)]
)
def test_plain_layers_are_separated(height: int, width: int, share: float) -> None:
    alpha = soft_disc(height, width, 2 + height / 180)
    truth = plain(height, width, RED)
    image = mix(truth, alpha, plain(height, width, GREEN))
    untreated = edge_error(image, truth, alpha)
    assert edge_error(estimate_foreground(image, alpha), truth, alpha) < untreated * share


def test_textured_layers_come_much_nearer_to_the_truth(portrait: Image) -> None:
    height, width = portrait.shape[:2]
    noise = np.random.default_rng(0).normal(0, 20, portrait.shape)
    background = np.clip(noise + plain(height, width, GREEN), 0, 255).astype(np.uint8)
    alpha = soft_disc(height, width, 5)
    image = mix(portrait, alpha, background)
    untreated = edge_error(image, portrait, alpha)
    assert edge_error(estimate_foreground(image, alpha), portrait, alpha) < untreated / 2


@pytest.fixture(scope="module")
def portrait() -> Image:
    data = pytest.importorskip("skimage.data")
    bgr = np.ascontiguousarray(data.astronaut()[:, :, ::-1])
    return np.asarray(cv2.GaussianBlur(bgr, (0, 0), 2), np.uint8)


def test_the_edges_colour_is_carried_on_outside_and_the_room_is_not() -> None:
    alpha = soft_disc(720, 1280, 3)
    image = mix(plain(720, 1280, RED), alpha, plain(720, 1280, GREEN))
    estimate = estimate_foreground(image, alpha)
    row, edge = 360, 640 + 180
    np.testing.assert_allclose(estimate[row, edge + 18], RED, atol=15)  # alpha 0; green is 170 off
    assert not estimate[:, :300].any()


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_opaque_pixels_stay_exactly_as_they_are(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    before = image.copy()
    alpha = np.clip(rng.uniform(-0.5, 1.5, (height, width)), 0, 1).astype(np.float32)
    alpha.flat[0] = np.float32(OPAQUE)
    estimate = estimate_foreground(image, alpha)
    opaque: NDArray[np.bool_] = alpha >= np.float32(OPAQUE)
    np.testing.assert_array_equal(estimate[opaque], image[opaque])
    np.testing.assert_array_equal(image, before)
    assert estimate.shape == image.shape
    assert estimate.dtype == np.uint8


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_matte_without_edges(value: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    estimate = estimate_foreground(image, np.full((50, 70), value, np.float32))
    np.testing.assert_array_equal(estimate, image * np.uint8(value))


@settings(max_examples=15)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_estimate_and_blend_in_one_step_give_the_same(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image, background = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    alpha = np.clip(rng.uniform(-0.5, 1.5, (height, width)), 0, 1).astype(np.float32)
    at_once = composite_foreground(image, alpha, background)
    in_steps = composite(estimate_foreground(image, alpha), alpha, background)
    # 0.01 of 255 codes where a pixel counts as clear or opaque, and rounding
    assert np.abs(at_once.astype(int) - in_steps).max() <= 3
    np.testing.assert_array_equal(at_once[alpha == 0], background[alpha == 0])
    np.testing.assert_array_equal(at_once[alpha == 1], image[alpha == 1])


@settings(max_examples=25)
@given(st.integers(1, 700), st.integers(1, 700), st.integers(0, 2**32 - 1))
def test_no_soft_pixel_is_missed_for_looking_in_blocks(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image, background = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    spots = cv2.resize(rng.normal(0, 1, (9, 9)), (width, height), interpolation=cv2.INTER_CUBIC)
    alpha = np.clip(spots * 20 + rng.uniform(-5, 5), 0, 1).astype(np.float32)
    alpha[rng.uniform(0, 1, alpha.shape) < 1e-4] = 0.5  # hairs
    result = composite_foreground(image, alpha, background), estimate_foreground(image, alpha)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(foreground, "_block_extremes", everything_mixed)
        np.testing.assert_array_equal(result[0], composite_foreground(image, alpha, background))
        np.testing.assert_array_equal(result[1], estimate_foreground(image, alpha))


def everything_mixed(
    _weight: Alpha, side: int, shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    blocks = [-(-length // side) for length in shape]
    return np.zeros(blocks, np.float32), np.ones(blocks, np.float32)


def test_differing_sizes_are_refused_with_both() -> None:
    with pytest.raises(ValueError, match=r"\(4, 4, 3\).*\(4, 5\)"):
        estimate_foreground(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.float32))
    with pytest.raises(ValueError, match=r"\(4, 3, 3\).*\(4, 4\)"):
        composite_foreground(
            np.zeros((4, 4, 3), np.uint8),
            np.zeros((4, 4), np.float32),
            np.zeros((4, 3, 3), np.uint8),
        )


def test_the_edge_is_used_again_while_alpha_and_background_stay() -> None:
    """Only for a shared alpha, and not where brightness or colours have changed."""
    alpha, background = soft_disc(360, 640, 4), plain(360, 640, (200, 40, 30))
    image = mix(plain(360, 640, RED), alpha, plain(360, 640, GREEN))
    noise = np.random.default_rng(1).integers(-3, 4, image.shape)
    inside = cv2.erode((alpha == 1).astype(np.uint8), np.ones((33, 33), np.uint8)) > 0
    again = np.clip(image.astype(int) + noise, 0, 255).astype(np.uint8)
    fresh = composite_foreground(again, alpha, background)
    for shared in (False, True):
        still = StillComposite()
        alpha.flags.writeable = not shared
        first = still(image, alpha, background)
        np.testing.assert_array_equal(first, composite_foreground(image, alpha, background))
        first[:] = 0  # the caller's own
        second = still(again, alpha, background)
        np.testing.assert_array_equal(second[inside], again[inside])
        np.testing.assert_array_equal(second[alpha == 0], background[alpha == 0])
        assert np.abs(second.astype(int) - fresh).max() <= 6
        assert np.array_equal(second, fresh) is not shared
    brighter = np.minimum(again, 245) + np.uint8(10)
    expected = composite_foreground(brighter, alpha, background)
    np.testing.assert_array_equal(still(brighter, alpha, background), expected)
    other = plain(360, 640, GREEN)
    np.testing.assert_array_equal(
        still(image, alpha, other), composite_foreground(image, alpha, other)
    )
