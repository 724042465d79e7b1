"""The synthetic source, and a still picture held by hand."""

from __future__ import annotations

import itertools
import threading
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidbg.errors import ConfigError
from vidbg.frame import Image
from vidbg.sources.handheld import Handheld, handheld
from vidbg.sources.synthetic import SyntheticSource, swaying_person

RATE = Fraction(30000, 1001)


def test_frames_follow_the_contract() -> None:
    with SyntheticSource(64, 48, RATE, 60) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(60))
    assert [frame.pts for frame in frames] == [float(n / RATE) for n in range(60)]
    for frame in frames:
        assert frame.image.shape == (48, 64, 3)
        assert frame.image.dtype == np.uint8
        assert frame.image.flags.c_contiguous
        assert not frame.image.flags.writeable


def test_info_describes_the_frames() -> None:
    info = SyntheticSource(64, 48, RATE, 60).info
    assert (info.width, info.height, info.frame_count, info.live) == (64, 48, 60, False)
    assert info.time_base == 1 / RATE
    assert info.duration_s == pytest.approx(2.002)


def test_every_run_gives_the_same_frames_and_they_move() -> None:
    one, other = (list(SyntheticSource(96, 64, RATE, 12)) for _ in range(2))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
    assert np.abs(one[0].image.astype(int) - one[11].image).max() > 50


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 300), (300, 7), (641, 359)])
def test_any_size_can_be_drawn(width: int, height: int) -> None:
    assert {image.shape for image in swaying_person(width, height)} == {(height, width, 3)}


def test_the_loop_stays_small_in_memory() -> None:
    assert len(swaying_person(1920, 1080)) * 1920 * 1080 * 3 < 130 * 2**20


def test_it_is_no_ceiling_for_a_benchmark() -> None:
    source = SyntheticSource(1280, 720, Fraction(60), 2000)
    start = time.perf_counter()
    assert sum(1 for _ in source) == 2000
    assert 2000 / (time.perf_counter() - start) > 5000  # measured: 500,000 frames a second


def test_own_photos_are_returned_in_turn() -> None:
    pictures = [np.full((8, 8, 3), value, np.uint8) for value in (1, 2, 3)]
    source = SyntheticSource(8, 8, RATE, 5, pictures=pictures)
    assert [int(frame.image[0, 0, 0]) for frame in source] == [1, 2, 3, 1, 2]
    assert pictures[0].flags.writeable  # the caller's own array stays as it was


def test_live_frames_come_at_the_rate() -> None:
    start = time.monotonic()
    frames = list(SyntheticSource(32, 32, Fraction(100), 20, live=True))
    assert 0.18 < time.monotonic() - start < 5
    assert len(frames) == 20
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))


def test_a_late_reader_of_a_live_source_misses_frames() -> None:
    frames = iter(SyntheticSource(32, 32, Fraction(100), None, live=True))
    first = next(frames)
    time.sleep(0.2)
    second = next(frames)
    assert second.index == 1
    assert second.pts - first.pts > 0.15


def test_close_from_another_thread_ends_a_waiting_reader() -> None:
    source = SyntheticSource(32, 32, Fraction(1, 60), None, live=True)  # a frame a minute
    threading.Timer(0.1, source.close).start()
    start = time.monotonic()
    assert len(list(source)) == 1
    assert time.monotonic() - start < 5
    source.close()


@pytest.mark.parametrize(
    ("size", "rate", "count", "words"),
    [
        ((0, 48), RATE, 1, "0x48"),
        ((64, 48), Fraction(0), 1, "0 frames per second"),
        ((64, 48), RATE, -1, "-1 frames"),
    ],
)
def test_impossible_settings_are_refused(
    size: tuple[int, int], rate: Fraction, count: int, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        SyntheticSource(*size, rate, count)


@pytest.mark.parametrize("pictures", [[], [np.zeros((8, 9, 3), np.uint8)], [np.zeros((8, 8, 3))]])
def test_unfit_pictures_are_refused(pictures: list[Image]) -> None:
    with pytest.raises(ConfigError, match="picture"):
        SyntheticSource(8, 8, RATE, pictures=pictures)


@settings(max_examples=25)
@given(
    picture=st.tuples(st.integers(20, 200), st.integers(20, 200)),
    frame=st.tuples(st.integers(16, 128), st.integers(16, 128)),
    seed=st.integers(0, 1000),
)
def test_the_border_of_a_held_picture_never_shows(
    picture: tuple[int, int], frame: tuple[int, int], seed: int
) -> None:
    white = np.full((*picture, 3), 255, np.uint8)
    shots = handheld(
        white,
        np.ones(picture, np.float32),
        *frame,
        frame_count=20,
        frame_rate=Fraction(10),
        motion=Handheld(shift=0.03, rotation_deg=2, zoom=0.05, seed=seed),
    )
    for image, alpha in shots:
        assert image.shape == (frame[1], frame[0], 3)
        assert image.min() == 255
        assert alpha is not None
        assert alpha.dtype == np.float32
        assert alpha.min() > 0.999


def test_the_alpha_moves_with_its_picture() -> None:
    alpha = np.zeros((120, 160), np.float32)
    alpha[40:80, 60:100] = 1
    picture = np.repeat((alpha * 255).astype(np.uint8)[..., None], 3, axis=2)
    for image, moved in handheld(
        picture, alpha, 128, 96, frame_count=8, frame_rate=Fraction(4), motion=Handheld(shift=0.04)
    ):
        assert moved is not None
        assert np.abs(image[..., 0] / 255 - moved).max() < 0.02  # 8-bit rounding, cubic overshoot


def test_the_hand_moves_smoothly_and_returns() -> None:
    path = Handheld().path(250, 10.0)
    assert np.abs(path).max() <= 1
    steps = np.abs(np.diff(path, axis=0, append=path[:1]))
    assert steps.max() < 0.1  # the step from the last frame to the first included
    assert path.std(axis=0).min() > 0.1


def test_anchor_chooses_the_part_that_stays() -> None:
    picture = np.zeros((200, 100, 3), np.uint8)
    picture[:100] = 255
    shots = [
        next(handheld(picture, None, 100, 50, frame_count=1, frame_rate=RATE, anchor=(0.5, y)))[0]
        for y in (0.0, 1.0)
    ]
    assert [int(shot.mean()) for shot in shots] == [255, 0]


def test_an_alpha_of_another_size_is_refused() -> None:
    still, alpha = np.zeros((8, 8, 3), np.uint8), np.zeros((9, 8), np.float32)
    with pytest.raises(ConfigError, match=r"\(9, 8\)"):
        list(handheld(still, alpha, 4, 4, frame_count=1, frame_rate=RATE))
