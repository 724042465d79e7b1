"""Smoothing removes flicker and preserves motion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidbg.frame import Image
from vidbg.matting.temporal import TemporalFilter, stillness

INTERVAL_S = 1 / 30


def room(level: int = 90) -> Image:
    rng = np.random.default_rng(0)
    return rng.integers(level - 40, level + 40, (40, 64, 3), np.uint8)


@given(value=st.floats(0, 1, width=32))
def test_smoothing_a_constant_is_that_constant(value: float) -> None:
    smooth = TemporalFilter(0.15)
    alpha = np.full((40, 64), value, np.float32)
    for index in range(4):
        np.testing.assert_array_equal(smooth(room(), alpha, index * INTERVAL_S), alpha)


def test_flicker_over_a_still_picture_shrinks() -> None:
    smooth = TemporalFilter(0.15)
    rng = np.random.default_rng(1)
    raw = [np.clip(0.5 + rng.normal(0, 0.2, (40, 64)), 0, 1).astype(np.float32) for _ in range(40)]
    noise = [rng.normal(0, 2, (40, 64, 3)) for _ in raw]  # the sensor's
    frames = [np.clip(room() + n, 0, 255).astype(np.uint8) for n in noise]
    out = [smooth(f, a, i * INTERVAL_S) for i, (f, a) in enumerate(zip(frames, raw, strict=True))]

    def changes(alphas: list[np.ndarray]) -> float:
        return float(np.abs(np.diff(np.stack(alphas[10:]), axis=0)).mean())

    assert changes(out) < 0.35 * changes(raw)


def test_a_moving_person_leaves_no_trail() -> None:
    smooth = TemporalFilter(0.15)
    for index in range(12):
        image, alpha = room(), np.zeros((40, 64), np.float32)
        image[8:, 4 * index : 4 * index + 16] = 220
        alpha[8:, 4 * index : 4 * index + 16] = 1
        out = smooth(image, alpha, index * INTERVAL_S)
        assert np.abs(out - alpha).max() < 0.1


def test_strength_follows_time_not_frame_count() -> None:
    """After the same time the same share of an old value is left, at 60 as at 30 a second."""
    left = []
    for rate in (30, 60):
        smooth = TemporalFilter(0.2)
        smooth(room(), np.ones((40, 64), np.float32), 0.0)
        for index in range(1, rate // 5 + 1):
            out = smooth(room(), np.zeros((40, 64), np.float32), index / rate)
        left.append(float(out.mean()))
    assert left[0] == pytest.approx(left[1], rel=1e-3)
    assert left[0] == pytest.approx(np.exp(-1), rel=1e-3)


@pytest.mark.parametrize("how", ["reset", "cut", "gap", "back", "size"])
def test_the_past_is_forgotten(how: str) -> None:
    smooth = TemporalFilter(1.0)
    smooth(room(), np.ones((40, 64), np.float32), 1.0)
    pts, image, shape = 1.0 + INTERVAL_S, room(), (40, 64)
    if how == "reset":
        smooth.reset()
    elif how == "cut":
        image = 255 - room()
    elif how == "gap":
        pts = 3.0
    elif how == "back":
        pts = 0.5
    else:
        image, shape = image[:32, :48], (32, 48)
    out = smooth(image, np.zeros(shape, np.float32), pts)
    assert not out.any()


def test_stillness_falls_with_change() -> None:
    change = np.zeros((20, 20), np.uint8)
    change[10, 10] = 40
    still = stillness(change)
    assert still[10, 10] == 0
    assert still[9, 9] == 0  # moves along with its neighbour
    assert still[0, 0] == 1
