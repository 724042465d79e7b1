"""The blend, the matte's edge, and the stage that joins them."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidbg.compositing import CompositingConfig, Compositor, adjust_alpha, composite
from vidbg.compositing.backgrounds import (
    BackgroundSpec,
    BlurSpec,
    ColourSpec,
    FrameStream,
    OpenFrames,
    PassthroughSpec,
    TransparentSpec,
)
from vidbg.compositing.backgrounds.camera_blur import blur_background
from vidbg.compositing.edges import wrap_light
from vidbg.errors import ConfigError
from vidbg.frame import Alpha, Frame, Image

SIZES = st.integers(1, 150)
SEEDS = st.integers(0, 2**32 - 1)


def noise(height: int, width: int, seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def soft_alpha(height: int, width: int, seed: int) -> Alpha:
    values = np.random.default_rng(seed).uniform(-0.5, 1.5, (height, width))
    return np.clip(values, 0, 1).astype(np.float32)


def soft_disc(height: int, width: int, blur_px: float = 3) -> Alpha:
    alpha = np.zeros((height, width), np.float32)
    cv2.circle(alpha, (width // 2, height // 2), min(height, width) // 4, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), blur_px), np.float32)


@settings(max_examples=40)
@given(SIZES, SIZES, SEEDS)
def test_blend_is_exact_at_both_ends_and_rounds_to_nearest(
    height: int, width: int, seed: int
) -> None:
    image, background = noise(height, width, seed), noise(height, width, seed + 1)
    alpha = soft_alpha(height, width, seed)
    result = composite(image, alpha, background)
    np.testing.assert_array_equal(result[alpha == 0], background[alpha == 0])
    np.testing.assert_array_equal(result[alpha == 1], image[alpha == 1])
    weight = alpha[..., np.newaxis].astype(np.float64)
    truth = weight * image + (1 - weight) * background
    # half a code is rounding; the rest is blendLinear's division by 1.00001 in float32
    assert np.abs(result - truth).max() <= 0.5 + 0.005


def test_blend_writes_to_a_new_array() -> None:
    image, background = noise(70, 70, 0), noise(70, 70, 1)
    kept = image.copy(), background.copy()
    for value in (0.0, 0.5, 1.0):
        composite(image, np.full((70, 70), value, np.float32), background)[:] = 7
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(background, kept[1])


def test_blend_refuses_differing_sizes_with_both() -> None:
    image = noise(4, 4, 0)
    with pytest.raises(ValueError, match=r"\(4, 4, 3\).*\(4, 5, 3\)"):
        composite(image, np.zeros((4, 4), np.float32), noise(4, 5, 0))
    with pytest.raises(ValueError, match=r"\(4, 4, 3\).*\(5, 4\)"):
        composite(image, np.zeros((5, 4), np.float32), image)


@settings(max_examples=25)
@given(SIZES, SIZES, SEEDS)
def test_every_documented_kind_of_alpha_gives_the_same_picture(
    height: int, width: int, seed: int
) -> None:
    image, background = noise(height, width, seed), noise(height, width, seed + 1)
    codes = noise(height, width, seed + 2)[..., 0]
    truth = composite(image, (codes / 255).astype(np.float32), background)
    alphas: list[Any] = [codes, codes / 255, np.asfortranarray(codes), np.longdouble(codes) / 255]
    for alpha in alphas:
        np.testing.assert_array_equal(composite(image, alpha, background), truth)
    rough = composite(image, (codes / 255).astype(np.float16), background)
    assert np.abs(rough - 1.0 * truth).max() <= 1
    hard = codes > 127
    np.testing.assert_array_equal(
        composite(image, hard, background), np.where(hard[..., None], image, background)
    )


def test_an_alpha_that_overshoots_a_little_is_clipped() -> None:
    image, background = noise(70, 70, 0), noise(70, 70, 1)
    alpha = np.full((70, 70), 1.004)
    alpha[:35] = -0.004
    result = composite(image, alpha, background)
    np.testing.assert_array_equal(result[35:], image[35:])
    np.testing.assert_array_equal(result[:35], background[:35])


def test_pictures_may_be_views_in_any_order_of_memory() -> None:
    image, background, alpha = noise(70, 90, 0), noise(70, 90, 1), soft_alpha(70, 90, 2)
    truth = composite(image, alpha, background)
    turned = composite(image[::-1, ::-1], alpha[::-1, ::-1], background[::-1, ::-1])
    np.testing.assert_array_equal(turned[::-1, ::-1], truth)
    np.testing.assert_array_equal(composite(np.asfortranarray(image), alpha, background), truth)


@pytest.mark.parametrize(
    ("alpha", "reason"),
    [
        (np.full((8, 8), 255, np.float32), "values from 255 to 255.*divide it by 255"),
        (np.full((8, 8), -0.5), "values from -0.5 to -0.5"),
        (np.full((8, 8), np.nan, np.float32), "contains NaN"),
        (np.where(np.eye(8) == 1, np.nan, 0.5), "contains NaN"),
        (np.full((8, 8), np.inf), "values from inf to inf"),
        (np.ones((8, 8), np.int64), "the alpha is int64; allowed are"),
        (np.ones((8, 8), np.complex64), "the alpha is complex64"),
        (np.ones((8, 8, 1), np.float32), r"\(8, 8, 1\) differ in size"),
        (np.ones((0, 8)), "is empty"),
        (None, "the alpha is NoneType"),
        ([[1.0]], "the alpha is list"),
        (1.0, "the alpha is float"),
    ],
)
def test_an_alpha_that_cannot_be_is_refused(alpha: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        composite(noise(8, 8, 0), alpha, noise(8, 8, 1))


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((8, 8, 3), np.float32), "is float32; it must be a uint8 array"),
        (np.zeros((8, 8, 4), np.uint8), r"has the shape \(8, 8, 4\)"),
        (np.zeros((8, 8), np.uint8), r"has the shape \(8, 8\)"),
        (np.zeros((0, 8, 3), np.uint8), r"has the shape \(0, 8, 3\)"),
        (None, "is NoneType"),
    ],
)
def test_a_picture_that_cannot_be_is_refused(picture: Any, reason: str) -> None:
    good, alpha = noise(8, 8, 0), np.ones((8, 8), np.float32)
    with pytest.raises(ValueError, match=f"the image {reason}"):
        composite(picture, alpha, good)
    with pytest.raises(ValueError, match=f"the background {reason}"):
        composite(good, alpha, picture)


def test_alpha_is_left_alone_without_offset_and_feather() -> None:
    alpha = soft_disc(40, 60)
    assert adjust_alpha(alpha, 0, 0) is alpha


@settings(max_examples=25)
@given(SEEDS, st.floats(-6, 6), st.floats(0, 6))
def test_adjusted_alpha_stays_in_range_and_moves_the_way_of_the_sign(
    seed: int, offset_px: float, feather_px: float
) -> None:
    alpha = soft_alpha(50, 40, seed)
    moved = adjust_alpha(alpha, offset_px, 0)
    assert ((moved - alpha) * np.sign(offset_px) >= -1e-6).all()
    soft = adjust_alpha(alpha, offset_px, feather_px)
    assert soft.dtype == np.float32
    assert soft.min() >= 0
    assert soft.max() <= 1


@pytest.mark.parametrize("offset_px", [-7.0, -2.5, 1.0, 4.5])
def test_the_edge_moves_by_the_given_pixels(offset_px: float) -> None:
    alpha = np.zeros((200, 200), np.float32)
    alpha[60:140, 60:140] = 1
    moved = adjust_alpha(alpha, offset_px, 0)
    assert moved[100].sum() == pytest.approx(80 + 2 * offset_px)


def test_the_edge_moves_as_far_to_all_sides_and_keeps_its_softness() -> None:
    dot = np.zeros((301, 301), np.float32)
    dot[150, 150] = 0.5
    rows, columns = np.indices(dot.shape) - 150
    for radius in (1, 2, 3, 6, 11, 40, 100):
        reached = adjust_alpha(dot, radius, 0)
        assert set(np.unique(reached)) <= {0, np.float32(128 / 255), np.float32(0.5)}
        distances = np.hypot(rows, columns)
        assert (reached[distances < 0.94 * radius] > 0).all()
        assert (reached[distances > 1.03 * radius + 0.5] == 0).all()
        if radius < 100:  # nothing but rounding is left of a hole that closes
            np.testing.assert_allclose(adjust_alpha(1 - dot, -radius, 0), 1 - reached, atol=3e-3)


def test_a_person_cut_by_the_frame_is_not_moved_off_its_border() -> None:
    alpha = np.zeros((90, 120), np.float32)
    alpha[30:, 40:80] = 1
    assert adjust_alpha(alpha, -15, 0)[-1, 40:80].sum() == 10


@pytest.mark.parametrize("size", [(720, 1280), (501, 333)])
@pytest.mark.parametrize("feather_px", [3.1, 6.0, 6.1, 20.0, 45.0])
def test_wide_feathers_equal_the_gaussian(size: tuple[int, int], feather_px: float) -> None:
    alpha = soft_disc(*size, blur_px=1)
    truth = cv2.GaussianBlur(alpha, (0, 0), feather_px)
    assert np.abs(adjust_alpha(alpha, 0, feather_px) - truth).max() < 0.03


@pytest.mark.parametrize(
    ("offset_px", "feather_px"), [(100, 0), (-99.5, 0), (12.5, 0), (0, 3), (0, 17), (0, 100)]
)
def test_the_edge_costs_little_over_its_full_range(offset_px: float, feather_px: float) -> None:
    """1 to 3.5 ms of processor time on a Xeon; 1.5 s with one dilation by a disc."""
    alpha = soft_disc(720, 1280)
    times = []
    for _ in range(7):
        start = time.process_time()
        adjust_alpha(alpha, offset_px, feather_px)
        times.append(time.process_time() - start)
    assert min(times) < 0.02


def test_feather_softens_without_moving_the_middle_of_the_edge() -> None:
    alpha = np.zeros((100, 100), np.float32)
    alpha[:, 50:] = 1
    soft = adjust_alpha(alpha, 0, 4)
    assert soft[50, 49] + soft[50, 50] == pytest.approx(1, abs=1e-4)
    assert 0.1 < soft[50, 46] < 0.3


def test_light_wrap_brightens_the_edge_only() -> None:
    image = np.full((180, 180, 3), 60, np.uint8)
    alpha = soft_disc(180, 180)
    lit = wrap_light(image, alpha, np.full_like(image, 255), 0.5)
    assert (lit >= image).all()
    assert lit[90, 90 - 43].min() > 80
    np.testing.assert_array_equal(lit[90, 90], image[90, 90])
    assert wrap_light(image, alpha, image, 0) is image


def no_frames(_path: object, *, again: bool = False) -> FrameStream:
    raise NotImplementedError


OPEN: OpenFrames = no_frames


def person(height: int = 96, width: int = 128) -> tuple[Frame, Alpha]:
    return Frame(noise(height, width, 5), pts=1.25, index=7), soft_disc(height, width)


@pytest.mark.parametrize(
    "spec", [ColourSpec((1, 2, 3)), BlurSpec(), TransparentSpec(), PassthroughSpec()]
)
def test_the_stage_keeps_size_time_and_index(spec: BackgroundSpec) -> None:
    frame, alpha = person()
    done = Compositor(CompositingConfig(spec), OPEN)(frame, alpha)
    assert done.image.shape == frame.image.shape
    assert (done.pts, done.index) == (frame.pts, frame.index)
    assert (done.alpha is not None) == isinstance(spec, TransparentSpec)


def test_a_colour_shows_where_the_person_is_not_and_the_person_where_they_are() -> None:
    frame, alpha = person()
    image = Compositor(CompositingConfig(ColourSpec((1, 2, 3))), OPEN)(frame, alpha).image
    assert (image[alpha == 0] == (1, 2, 3)).all()
    np.testing.assert_array_equal(image[alpha == 1], frame.image[alpha == 1])


def test_a_transparent_frame_holds_no_pixel_of_the_room() -> None:
    frame, alpha = person(720, 720)
    room = replace(frame, image=np.full_like(frame.image, 255))
    done = Compositor(CompositingConfig(TransparentSpec()), OPEN)(room, alpha)
    assert done.alpha is alpha
    assert not done.image[:60].any()


def test_over_the_blurred_room_the_observed_colours_are_kept() -> None:
    frame, alpha = person()
    expected = composite(frame.image, alpha, blur_background(frame.image, alpha, 50))
    done = Compositor(CompositingConfig(BlurSpec(50)), OPEN)(frame, alpha)
    np.testing.assert_array_equal(done.image, expected)


def test_none_returns_the_frame_itself() -> None:
    frame, alpha = person()
    assert Compositor(CompositingConfig(PassthroughSpec()), OPEN)(frame, alpha) is frame


@pytest.mark.parametrize("edge", [{"offset_px": 3.0}, {"feather_px": 5.0}])
def test_edge_options_reach_the_picture(edge: dict[str, float]) -> None:
    frame, alpha = person()
    config = CompositingConfig(TransparentSpec())
    plain = Compositor(config, OPEN)(frame, alpha)
    options = CompositingConfig(config.background, **edge)  # type: ignore[arg-type]
    edged = Compositor(options, OPEN)(frame, alpha)
    assert edged.alpha is not None
    assert plain.alpha is not None
    expected = adjust_alpha(alpha, edge.get("offset_px", 0), edge.get("feather_px", 0))
    np.testing.assert_array_equal(edged.alpha, expected)


def test_light_wrap_reaches_the_picture() -> None:
    frame, alpha = person()
    config = CompositingConfig(ColourSpec((255, 255, 255)))
    lit = Compositor(replace(config, light_wrap=0.8), OPEN)(frame, alpha).image
    assert lit.mean() > Compositor(config, OPEN)(frame, alpha).image.mean()


@pytest.mark.parametrize("option", [{"offset_px": 101}, {"feather_px": -1}, {"light_wrap": 1.5}])
def test_numbers_out_of_range_are_refused_with_their_range(option: dict[str, float]) -> None:
    (name,) = option
    with pytest.raises(ConfigError, match=f"{name} is .*allowed are"):
        CompositingConfig(PassthroughSpec(), **option)  # type: ignore[arg-type]


def test_a_matte_of_another_size_is_refused() -> None:
    frame, _ = person()
    with pytest.raises(ValueError, match="differ"):
        Compositor(CompositingConfig(ColourSpec((0, 0, 0))), OPEN)(frame, soft_disc(20, 20))


CLEAR_BARS = CompositingConfig(ColourSpec((1, 2, 3)))


def cut_out() -> tuple[Frame, Alpha, Alpha]:
    """Return a softly cut-out person, the alpha, and a network's incomplete view of it."""
    frame, own = person(180, 240)
    observed = np.clip(1.2 * own - 0.2, 0, 1).astype(np.float32)
    observed[85:95, 115:125] = 0
    return replace(frame, alpha=own), own, observed


def test_a_cut_out_is_not_cut_out_again() -> None:
    frame, own, observed = cut_out()
    image = Compositor(CLEAR_BARS, OPEN)(frame, observed).image
    background = np.full_like(frame.image, (1, 2, 3))
    np.testing.assert_array_equal(image, composite(frame.image, own, background))
    done = Compositor(CompositingConfig(TransparentSpec()), OPEN)(frame, observed)
    assert done.alpha is not None
    np.testing.assert_array_equal(done.alpha, own)
    np.testing.assert_array_equal(done.image[own > 0], frame.image[own > 0])


def test_a_cut_out_does_not_reveal_transparent_colours() -> None:
    frame, own, observed = cut_out()
    image = frame.image.copy()
    image[own == 0] = 255
    room = replace(frame, image=image)
    bare = own == 0
    transparent = Compositor(CompositingConfig(TransparentSpec()), OPEN)(room, observed).image
    assert not (transparent[bare] == 255).all(axis=-1).any()
    for spec in (PassthroughSpec(), BlurSpec(50)):
        shown = Compositor(CompositingConfig(spec), OPEN)(room, observed).image
        assert shown[:20, :20].max() < 40


def test_a_room_with_clear_corners_does_not_stay() -> None:
    frame, alpha = person(180, 240)
    own = np.ones_like(alpha)
    own[:40] = 0
    own[90] = 0.5
    image = Compositor(CLEAR_BARS, OPEN)(replace(frame, alpha=own), alpha).image
    assert (image[(alpha == 0) | (own == 0)] == (1, 2, 3)).all()
    done = Compositor(CompositingConfig(TransparentSpec()), OPEN)(replace(frame, alpha=own), alpha)
    np.testing.assert_array_equal(done.alpha, np.minimum(alpha, own))


def test_fit_is_the_old_name_of_contain_and_others_are_refused() -> None:
    old = CompositingConfig(BlurSpec(), fit="fit")  # type: ignore[arg-type]
    assert old == CompositingConfig(BlurSpec(), fit="contain")
    with pytest.raises(ConfigError, match="unknown fit 'stretch'; choose from cover, contain"):
        CompositingConfig(BlurSpec(), fit="stretch")  # type: ignore[arg-type]
