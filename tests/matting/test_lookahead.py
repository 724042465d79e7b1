"""Files: alpha is smoothed by the frames before and after it, along their motion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidbg.frame import Alpha, Image
from vidbg.matting.lookahead import MAX_NEIGHBOURS, Lookahead

INTERVAL_S = 1 / 25


def texture(seed: int = 0) -> Image:
    grain = np.random.default_rng(seed).integers(0, 255, (30, 40, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(grain, (160, 120), interpolation=cv2.INTER_CUBIC), np.uint8)


def walking(count: int) -> tuple[list[Image], list[Alpha]]:
    """Draw a textured square that moves by two pixels a frame, and its alpha."""
    images, alphas = [], []
    for index in range(count):
        image, alpha = texture(), np.zeros((120, 160), np.float32)
        left = 20 + 2 * index
        image[30:100, left : left + 60] = texture(1)[:70, :60]
        alpha[30:100, left : left + 60] = 1
        images.append(image)
        alphas.append(alpha)
    return images, alphas


def smoothed(
    images: list[Image], alphas: list[Alpha], interval_s: float = INTERVAL_S
) -> list[Alpha]:
    """Run the filter, check that frames come out in order, and return their alphas."""
    lookahead = Lookahead[int](0.15)
    ready: list[tuple[int, Alpha]] = []
    for index, (image, alpha) in enumerate(zip(images, alphas, strict=True)):
        ready += lookahead.push(index, image, alpha, index * interval_s)
        assert index + 1 - len(ready) <= MAX_NEIGHBOURS + 1
    ready += lookahead.flush()
    assert [number for number, _ in ready] == list(range(len(images)))
    return [alpha for _, alpha in ready]


@pytest.mark.parametrize("interval_s", [1 / 25, 1 / 60, 1 / 240, 0.4])
def test_every_frame_comes_out_once_in_order(interval_s: float) -> None:
    images, alphas = walking(24)
    for given, made in zip(alphas, smoothed(images, alphas, interval_s), strict=True):
        assert made.dtype == np.float32
        assert np.abs(made - given).mean() < 0.02


def test_flicker_of_a_moving_edge_shrinks() -> None:
    images, alphas = walking(16)
    alphas = [0.25 + 0.5 * alpha for alpha in alphas]  # with room for noise on both sides
    rng = np.random.default_rng(1)
    flickering = [
        alpha + cv2.resize(rng.uniform(-0.2, 0.2, (15, 20)).astype(np.float32), (160, 120))
        for alpha in alphas
    ]
    made = smoothed(images, flickering)

    def error(answers: list[Alpha]) -> float:
        return float(np.mean([np.abs(a - b).mean() for a, b in zip(answers, alphas, strict=True)]))

    assert error(made) < 0.6 * error(flickering)


def test_what_appears_suddenly_is_not_smoothed_away() -> None:
    """A hand that shows up in one frame is kept there and does not show in the frames before."""
    images = [np.full((120, 160, 3), 60, np.uint8) for _ in range(12)]
    alphas = [np.zeros((120, 160), np.float32) for _ in images]
    for image, alpha in zip(images[6:], alphas[6:], strict=True):
        image[40:80, 60:100] = 210
        alpha[40:80, 60:100] = 1
    for given, made in zip(alphas, smoothed(images, alphas), strict=True):
        assert np.abs(made - given)[45:75, 65:95].max() < 0.05


def test_nothing_crosses_a_cut() -> None:
    images = [texture(0)] * 5 + [texture(7)] * 5
    alphas = [np.zeros((120, 160), np.float32)] * 5 + [np.ones((120, 160), np.float32)] * 5
    for given, made in zip(alphas, smoothed(images, alphas), strict=True):
        np.testing.assert_array_equal(made, given)


def test_a_person_lost_in_single_frames_is_no_ghost_there() -> None:
    images = [texture()] * 9
    alphas = [np.ones((120, 160), np.float32) for _ in images]
    alphas[4][30:90, 40:120] = 0
    for made in smoothed(images, alphas):
        np.testing.assert_array_equal(made, 1)
