"""The network's input: sizes, aspect, normalisation, border."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluate.predict import predict, served
from vidbg.config import MattingConfig
from vidbg.errors import ConfigError
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.preprocess import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    UNENLARGED_PIXELS,
    apply_gain,
    content,
    network_input,
    plan_geometry,
    shrink,
)
from vidbg.matting.video_matting import VideoMatting
from vidbg.util.brightness import BRIGHT_LEVEL, MAX_GAIN


@given(height=st.integers(1, 4000), width=st.integers(1, 4000), pixels=st.integers(128**2, 1024**2))
def test_geometry_fits_the_budget_and_keeps_the_aspect(
    height: int, width: int, pixels: int
) -> None:
    plan = plan_geometry(height, width, pixels)
    assert plan.height % 32 == 0
    assert plan.width % 32 == 0
    assert plan.height * plan.width <= pixels
    assert 1 <= plan.content_height <= plan.height
    assert 1 <= plan.content_width <= plan.width
    if max(height, width) < 20 * min(height, width):
        scales = plan.content_height / height, plan.content_width / width
        # Rounding moves each side by at most half a pixel.
        slack = 1 / min(plan.content_height, plan.content_width)
        assert scales[0] == pytest.approx(scales[1], rel=slack)


@pytest.mark.parametrize(
    ("frame", "pixels", "expected"),
    [
        ((720, 1280), 256 * 256, (192, 320)),
        ((720, 1280), 288 * 512, (288, 512)),
        ((1920, 1080), 288 * 512, (512, 288)),
        ((480, 480), 256 * 256, (256, 256)),
    ],
)
def test_usual_frames_fill_the_budget(
    frame: tuple[int, int], pixels: int, expected: tuple[int, int]
) -> None:
    plan = plan_geometry(*frame, pixels)
    assert (plan.height, plan.width) == expected


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ((288, 360), (256, 320)),  # fewer pixels than 147456
        ((183, 275), (224, 337)),  # also fewer than 86016: enlarged to those
        ((484, 512), (363, 384)),  # fewer than 262144
        ((480, 640), (432, 576)),  # more
        ((316, 458), (309, 448)),  # nearly 147456
    ],
)
def test_a_small_frame_gets_the_largest_size_that_does_not_enlarge_it(
    frame: tuple[int, int], expected: tuple[int, int]
) -> None:
    plan = plan_geometry(*frame, 262144)
    assert (plan.content_height, plan.content_width) == expected


@given(height=st.integers(1, 700), width=st.integers(1, 700), pixels=st.integers(128**2, 1024**2))
def test_a_larger_budget_changes_nothing_for_small_frames(
    height: int, width: int, pixels: int
) -> None:
    least = max(UNENLARGED_PIXELS[-1], 1.05 * height * width + 1)
    if pixels >= least:
        assert plan_geometry(height, width, pixels) == plan_geometry(height, width, 1024**2)


def test_training_serves_a_small_picture_at_the_size_that_the_program_takes() -> None:
    shapes = list[tuple[int, ...]]()

    def network(batch: np.ndarray) -> np.ndarray:
        shapes.append(batch.shape)
        return np.zeros(batch.shape[2:], np.float32)

    picture = np.full((288, 360, 3), 90, np.uint8)
    predict(network, picture, 262144)
    served(ConstantBackend(network), 262144)(picture)
    VideoMatting(config=MattingConfig(network_pixels=262144), backend=ConstantBackend(network))(
        picture
    )
    assert shapes == [(1, 4, 256, 320)] * 3


@pytest.mark.parametrize("frame", [(720, 1280), (721, 1281), (3001, 4001), (500, 900)])
def test_no_pixel_of_a_large_frame_is_left_out(frame: tuple[int, int]) -> None:
    """Stripes and checks, one pixel wide, become grey instead of coarser patterns."""
    plan = plan_geometry(*frame, 86016)
    rows, columns = np.indices(frame)
    for pattern in (rows, columns, rows + columns):
        image = np.repeat((255 * (pattern % 2)).astype(np.uint8)[..., np.newaxis], 3, axis=2)
        small = shrink(image, plan).astype(float)
        assert abs(small.mean() - 127.5) < 1
        assert small.std() < 20


def test_a_senseless_budget_is_refused() -> None:
    with pytest.raises(ConfigError, match="100 pixels"):
        plan_geometry(720, 1280, 100)


def test_input_is_normalised_rgb_with_repeated_border_and_prior() -> None:
    plan = plan_geometry(720, 1280, 256 * 256)
    image = np.zeros((720, 1280, 3), np.uint8)
    image[:] = (10, 100, 200)  # B, G, R
    small = shrink(image, plan)
    prior = np.full(small.shape[:2], 0.25, np.float32)
    batch = network_input(small, prior, plan)
    assert batch.shape == (1, 4, 192, 320)
    assert small.shape == (180, 320, 3)
    for channel, value in enumerate((200, 100, 10)):
        expected = (value / 255 - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
        np.testing.assert_allclose(batch[0, channel], expected, atol=1e-5)
    np.testing.assert_array_equal(batch[0, 3], 0.25)
    assert content(batch[0, 3], plan).shape == (180, 320)


def shades(level: int) -> np.ndarray:
    """Every grey level from 0 to `most`, evenly."""
    levels = np.linspace(0, level, 100 * 100).round().astype(np.uint8)
    return np.repeat(levels.reshape(100, 100, 1), 3, axis=2)


@pytest.mark.parametrize("level", [155, 255])
def test_a_bright_picture_is_shown_unchanged(level: int) -> None:
    assert apply_gain(shades(level)).max() == level


@pytest.mark.parametrize("level", [1, 20, 37, 80, 140, 150])
def test_a_dark_picture_is_shown_brighter(level: int) -> None:
    gain = apply_gain(shades(level)).max() / level
    assert gain == pytest.approx(min(MAX_GAIN, BRIGHT_LEVEL / (0.97 * level)), rel=0.04)


def test_black_stays_black_and_hue_stays() -> None:
    assert apply_gain(np.zeros((64, 64, 3), np.uint8)).max() == 0
    dark = np.full((64, 64, 3), (10, 20, 30), np.uint8)
    np.testing.assert_array_equal(apply_gain(dark)[0, 0], (40, 80, 120))


def test_without_a_prior_its_channel_is_zero() -> None:
    plan = plan_geometry(64, 64, 128 * 128)
    batch = network_input(np.full((128, 128, 3), 9, np.uint8), None, plan)
    assert not batch[0, 3].any()
