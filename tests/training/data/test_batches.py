"""Batches of scenes, windows and previous alphas."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")


from training.data.batches import Batches  # noqa: E402
from training.data.image_sets import (  # noqa: E402
    find_sets,
)
from training.data.person_windows import Framing, Window, frame_person, placing, shoulder_row  # noqa: E402
from training.data.priors import NONE_SHARE, OWN_SHARE, corrupt_prior, own_priors  # noqa: E402
from training.data.scene_sources import SceneSources  # noqa: E402
from training.data.scenes import AugmentConfig, Layer, Scene, SceneMaker  # noqa: E402


def maker(sets: Path, **shares: float) -> SceneMaker:
    return SceneMaker(SceneSources.of(find_sets(sets)), AugmentConfig(**shares))


def test_batches_are_a_function_of_seed_and_step(sets: Path) -> None:
    batches = Batches(maker(sets), 4 * 224 * 224, seed=5, length=10, priors=True, clips=1.0)
    first, again, other = batches[4], batches[4], batches[5]
    for part, same in zip(first[:3], again[:3], strict=True):
        np.testing.assert_array_equal(part, same)
    assert first.images.shape[:3] == first.masks.shape == first.priors.shape
    assert first.images.shape != other.images.shape or (first.images != other.images).any()


def test_a_clip_has_earlier_frames_that_nearly_show_the_same(sets: Path) -> None:
    batch = Batches(maker(sets, nobody=0.0), 6 * 64 * 64, 1, 2, sizes=((64, 64),), clips=1.0)[0]
    assert batch.earlier is not None
    images, masks = batch.earlier
    assert images.shape == batch.images.shape
    moved = np.abs(masks.astype(int) - batch.masks).mean(axis=(1, 2)) / 255
    assert 0 < moved.max() < 0.2
    assert not batch.priors.any()


def test_stills_have_no_earlier_frames(sets: Path) -> None:
    assert Batches(maker(sets), 64 * 64, 1, 2, sizes=((64, 64),))[0].earlier is None


def test_a_scene_that_does_not_move_differs_in_noise_alone(sets: Path) -> None:
    scene = maker(sets, nobody=0.0).make(np.random.default_rng(3), 64, 96)
    rng = np.random.default_rng(0)
    _, mask = scene.render(np.random.default_rng(1))
    _, again = scene.render(np.random.default_rng(2), scene.motions(rng, still=1.0))
    np.testing.assert_array_equal(mask, again)


def test_an_image_without_people_has_an_empty_mask(sets: Path) -> None:
    image, mask = maker(sets, nobody=1.0).pair(np.random.default_rng(0), 64, 96)
    assert image.shape == (64, 96, 3)
    assert not mask.any()


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), inside=st.booleans(), framing=st.sampled_from(Framing))
def test_windows_never_open_a_side_where_the_person_is_cut(
    seed: int, inside: bool, framing: Framing
) -> None:
    mask = np.zeros((80, 60), np.uint8)
    mask[30:, 20:50] = 255  # cut by the lower side
    window = frame_person(np.random.default_rng(seed), mask, 4 / 3, framing, inside=inside)
    assert window.y + window.height <= 80 + 1e-6
    assert window.width / window.height == pytest.approx(4 / 3)
    if inside:
        assert window.x >= -1e-6
        assert window.y >= -1e-6
        assert window.x + window.width <= 60 + 1e-6


def test_a_close_window_ends_at_the_shoulders() -> None:
    mask = np.zeros((300, 200), np.uint8)
    cv2.ellipse(mask, (100, 80), (35, 50), 0, 0, 360, 255, -1)  # head, from row 30
    mask[125:150, 82:118] = 255
    mask[150:, 30:170] = 255  # shoulders
    rng = np.random.default_rng(0)
    for _ in range(20):
        window = frame_person(rng, mask, 16 / 9, Framing.CLOSE, inside=False)
        assert 1.1 * 120 <= window.height <= 1.7 * 120 + 1
    assert shoulder_row(np.full((50, 90), 255, np.uint8)) is None  # no head above them


def test_a_scene_shows_its_window() -> None:
    image = np.tile(np.arange(100, dtype=np.uint8)[None, :, None], (100, 1, 3))
    mask = image[..., 0].copy()
    upright = _Upright()
    matrix = placing(upright, Window(20, 10, 40, 40), 40, 40)  # type: ignore[arg-type]
    scene = Scene(40, 40, Layer(image, mask, matrix), (), mirrored=False, degradation=0)
    _, alpha = scene.render(np.random.default_rng(0))
    np.testing.assert_array_equal(alpha, mask[10:50, 20:60])


class _Upright:
    """A generator that never rotates."""

    def random(self) -> float:
        return 0.99


@settings(max_examples=60)
@given(st.integers(0, 10_000))
def test_previous_alphas_are_masks_of_the_same_size(seed: int) -> None:
    mask = np.zeros((48, 64), np.uint8)
    cv2.circle(mask, (30, 24), 14, 255, -1)
    prior = corrupt_prior(np.random.default_rng(seed), mask)
    assert prior.dtype == np.uint8
    assert prior.shape == mask.shape


def test_previous_alphas_are_none_right_and_wrong_in_their_shares() -> None:
    mask = np.zeros((48, 64), np.uint8)
    cv2.circle(mask, (30, 24), 14, 255, -1)
    rng = np.random.default_rng(0)
    priors = [corrupt_prior(rng, mask) for _ in range(600)]
    errors = np.array([np.abs(p.astype(int) - mask).mean() / 255 for p in priors])
    empty = np.mean([not p.any() for p in priors])
    assert NONE_SHARE - 0.06 < empty < NONE_SHARE + 0.1
    assert (errors < 0.05).mean() > 0.3  # mostly near the truth
    assert (errors > 0.25).mean() > 0.05  # and at times far from it


def test_own_priors_are_a_function_of_their_generator() -> None:
    first, again = (own_priors(np.random.default_rng((1, 2)), 1000) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert OWN_SHARE - 0.05 < first.mean() < OWN_SHARE + 0.05
    assert (first != own_priors(np.random.default_rng((1, 3)), 1000)).any()
