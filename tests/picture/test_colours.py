"""The camera's colours: the effect of each setting, and how the gain follows the light."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import vidbg
from vidbg.compositing import CompositingConfig, Compositor
from vidbg.compositing.backgrounds import ColourSpec, PassthroughSpec
from vidbg.frame import Frame, Image, StreamInfo
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.video_matting import VideoMatting
from vidbg.picture.colours import MAX_GAP_S, PictureColours, gain_for, saturate, tone_table
from vidbg.picture.picture_config import PictureConfig
from vidbg.pipeline.frame_processor import CpuCompositing, FrameProcessors, GpuFrame
from vidbg.sources import open_frames
from vidbg.util.brightness import BRIGHT_LEVEL, MAX_GAIN, bright_level

AMOUNT = st.floats(-1, 1, width=32)
TONES = np.arange(256, dtype=np.uint8)


def ramp() -> Image:
    """Every tone of each channel, and colours between."""
    blue, red = np.meshgrid(TONES, TONES)
    return np.ascontiguousarray(np.stack([blue, np.full_like(blue, 90), red], axis=-1))


def adjusted(image: Image, pts: float = 0.0, **settings: float | bool) -> Image:
    return PictureColours()(Frame(image, pts, 0), PictureConfig(**settings)).image  # type: ignore[arg-type]


def test_the_default_config_changes_nothing() -> None:
    frame = Frame(ramp(), 0.0, 0)
    assert PictureColours()(frame, PictureConfig()) is frame


@given(AMOUNT, AMOUNT, AMOUNT, st.floats(1, MAX_GAIN))
def test_brighter_tones_stay_brighter(
    brightness: float, contrast: float, warmth: float, gain: float
) -> None:
    config = PictureConfig(brightness=brightness, contrast=contrast, warmth=warmth)
    table = tone_table(config, gain).reshape(256, -1).astype(int)
    assert (np.diff(table, axis=0) >= 0).all()


@given(AMOUNT, st.floats(0, 1, width=32))
def test_brightness_and_contrast_keep_black_and_white(brightness: float, contrast: float) -> None:
    table = tone_table(PictureConfig(brightness=brightness, contrast=contrast), 1.0)
    assert (table[0], table[255]) == (0, 255)


def test_what_each_setting_does() -> None:
    grey = np.full((4, 4, 3), 100, np.uint8)
    assert adjusted(grey, brightness=0.5).mean() > 130
    assert adjusted(grey, brightness=-0.5).mean() < 75
    assert adjusted(grey, contrast=0.5).mean() < 95  # a dark tone gets darker
    assert adjusted(255 - grey, contrast=0.5).mean() > 160
    assert adjusted(grey, contrast=-0.5).mean() > 105
    blue, green, red = adjusted(grey, warmth=0.5)[0, 0].astype(int)
    assert blue < green - 5 < red - 10
    blue, green, red = adjusted(grey, warmth=-0.5)[0, 0].astype(int)
    assert red < green - 5 < blue - 10


def test_warmth_keeps_the_brightness_of_a_grey() -> None:
    grey = np.full((4, 4, 3), 128, np.uint8)
    for warmth in (-1, -0.3, 0.3, 1):
        luma = cv2.cvtColor(adjusted(grey, warmth=warmth), cv2.COLOR_BGR2GRAY)
        assert abs(int(luma[0, 0]) - 128) <= 1


def test_saturation_keeps_greys_and_brightness() -> None:
    image = ramp()
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    assert np.abs(saturate(image, -1).astype(int) - grey[..., None]).max() <= 1
    np.testing.assert_array_equal(saturate(np.full((3, 3, 3), 77, np.uint8), 1), 77)
    dull = np.full((2, 2, 3), (100, 110, 130), np.uint8)
    assert np.ptp(saturate(dull, 0.5)[0, 0].astype(int)) == pytest.approx(45, abs=1)


@pytest.mark.parametrize("level", [3, 20, 40, 60, 90, 120])
def test_the_gain_of_a_dark_picture(level: int) -> None:
    dark = np.full((64, 64, 3), level, np.uint8)
    shown = int(adjusted(dark, low_light=True)[0, 0, 0])
    assert level < shown <= BRIGHT_LEVEL
    assert shown == BRIGHT_LEVEL or gain_for(level) == MAX_GAIN


def test_a_bright_picture_needs_no_gain() -> None:
    bright = np.maximum(ramp(), 151)
    np.testing.assert_array_equal(adjusted(bright, low_light=True), bright)


def levels_shown(lights: list[float], interval_s: float = 1 / 30) -> list[float]:
    """Mean level shown of a scene that is lit so brightly, one frame each."""
    noise = np.random.default_rng(0).integers(0, 256, (72, 128, 3), np.uint8)
    scene = cv2.GaussianBlur(noise, (0, 0), 3)
    colours, config = PictureColours(), PictureConfig(low_light=True)
    shown = []
    for number, light in enumerate(lights):
        image = np.asarray(cv2.convertScaleAbs(scene, alpha=light), np.uint8)
        shown.append(colours(Frame(image, number * interval_s, number), config).image.mean())
    return [float(level) for level in shown]


def test_the_gain_follows_the_light_smoothly() -> None:
    shown = levels_shown([0.6] * 30 + [0.3] * 150)
    assert max(abs(b - a) for a, b in pairwise(shown[30:])) < 3  # no jump but the room's own
    assert shown[31] < 0.7 * shown[29]
    assert shown[-1] > 1.15 * shown[31]
    assert shown[-1] == shown[-2]


def test_the_gain_ignores_small_changes() -> None:
    flicker = [0.3 * (1 + 0.04 * math.sin(n)) for n in range(60)]
    plain = levels_shown([0.3] * 60)
    shown = levels_shown(flicker)
    ratio = [level / light for level, light in zip(shown, flicker, strict=True)]
    assert max(ratio) / min(ratio) < 1.06
    assert len(set(plain)) == 1


def test_a_dropped_frame_changes_nothing_that_follows() -> None:
    lights = [0.3] + [0.1] * 61
    every = levels_shown(lights)
    every_other = levels_shown(lights[:1] + lights[2::2], interval_s=2 / 30)
    np.testing.assert_allclose(every[2::2], every_other[1:], atol=0.8)


def test_after_a_gap_or_a_reset_the_gain_is_that_of_the_frame() -> None:
    dark, bright = (np.full((32, 32, 3), level, np.uint8) for level in (50, 200))
    colours, config = PictureColours(), PictureConfig(low_light=True)
    assert colours(Frame(dark, 0.0, 0), config).image.mean() == BRIGHT_LEVEL
    assert colours(Frame(bright, MAX_GAP_S + 1, 1), config).image.mean() == 200
    colours.reset()
    assert colours(Frame(dark, MAX_GAP_S + 1.03, 2), config).image.mean() == BRIGHT_LEVEL


class Seen(ConstantBackend):
    """Keeps what the network is shown."""

    def __init__(self) -> None:
        self.batches: list[np.ndarray] = []
        super().__init__(self._answer)

    def _answer(self, batch: np.ndarray) -> np.ndarray:
        self.batches.append(batch.copy())
        return np.ones(batch.shape[2:], np.float32)


def test_viewers_see_the_adjusted_picture_and_the_network_the_cameras() -> None:
    frame = Frame(ramp(), 0.0, 0)
    batches = []
    for picture in (PictureConfig(), PictureConfig(brightness=-0.7, warmth=1, saturation=-1)):
        backend = Seen()
        compositor = Compositor(CompositingConfig(ColourSpec((9, 9, 9))), open_frames)
        processor = CpuCompositing(VideoMatting(backend=backend), compositor, picture)
        shown = processor.finish(*processor.start(frame)).image
        np.testing.assert_array_equal(shown, PictureColours()(frame, picture).image)
        batches.append(backend.batches[0])
    np.testing.assert_array_equal(batches[0], batches[1])


def test_the_background_keeps_its_colours() -> None:
    frame = Frame(ramp(), 0.0, 0)
    compositor = Compositor(CompositingConfig(ColourSpec((9, 99, 199))), open_frames)
    nobody = VideoMatting(backend=ConstantBackend(lambda b: np.zeros(b.shape[2:], np.float32)))
    processor = CpuCompositing(nobody, compositor, PictureConfig(brightness=1, saturation=1))
    assert (processor.finish(*processor.start(frame)).image == (9, 99, 199)).all()


def test_a_device_that_composites_full_frames_is_not_given_them() -> None:
    class Frames(ConstantBackend):
        supports_full_frame = True

        def open_graph(self, *_: object) -> object:
            raise AssertionError("the device was asked")

    info = StreamInfo(64, 48)
    compositor = Compositor(CompositingConfig(ColourSpec((9, 9, 9))), open_frames)
    matter = VideoMatting(backend=Frames(lambda b: np.ones(b.shape[2:], np.float32)))
    processor = FrameProcessors(2).choose(matter, compositor, info, PictureConfig(contrast=0.1))
    assert not isinstance(processor, GpuFrame)
    with pytest.raises(AssertionError, match="the device was asked"):
        FrameProcessors(2).choose(matter, compositor, info, PictureConfig())


def test_each_photo_is_adjusted_by_its_own_light(tmp_path: Path) -> None:
    for name, level in (("a", 40), ("b", 70)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((48, 64, 3), level, np.uint8))
    written = vidbg.process(
        [tmp_path / "a.png", tmp_path / "b.png"],
        tmp_path / "out",
        background=PassthroughSpec(),
        picture=vidbg.PictureConfig(low_light=True),
    )
    shown = [bright_level(np.asarray(cv2.imread(str(path)), np.uint8)) for path in written]
    assert shown[1] == pytest.approx(BRIGHT_LEVEL, abs=1)
    assert shown[0] == pytest.approx(137, abs=2)  # MAX_GAIN
