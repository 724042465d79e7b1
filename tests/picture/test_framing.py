"""Rotation, zoom and pan: what is shown of a frame, in files and live."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import numbered, write_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

import vidbg
from vidbg.compositing import CompositingConfig, Compositor
from vidbg.compositing.backgrounds import ColourSpec, PassthroughSpec
from vidbg.errors import ConfigError
from vidbg.frame import Frame, Image
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.video_matting import VideoMatting
from vidbg.picture.crop import FULL_CROP, Crop
from vidbg.picture.framing import Framing, cropped, manual_crop, rotate
from vidbg.picture.picture_config import PictureConfig
from vidbg.pipeline.files.file_outputs import OutputConfig
from vidbg.pipeline.frame_processor import CpuCompositing
from vidbg.sources import open_frames

SHOW_ROOM = CompositingConfig(PassthroughSpec())


def photo() -> Image:
    """Return a portrait of 640 x 360."""
    whole = cv2.resize(data.astronaut()[:288, :, ::-1], (640, 360))
    return np.ascontiguousarray(whole)


def shown(image: Image, config: PictureConfig) -> Image:
    return Framing()(Frame(image, 0.0, 0), config).image


def test_the_default_config_changes_nothing() -> None:
    frame = Frame(photo(), 0.0, 0)
    assert Framing()(frame, PictureConfig(pan_x=1, pan_y=-1)) is frame


@pytest.mark.parametrize(("pan_x", "left"), [(-1, 0), (0, 160), (1, 320)])
@pytest.mark.parametrize(("pan_y", "top"), [(-1, 0), (0, 90), (1, 180)])
def test_zoom_and_pan_show_a_part(pan_x: float, left: int, pan_y: float, top: int) -> None:
    image = photo()
    part = image[top : top + 180, left : left + 320]
    wanted = cv2.resize(part, (640, 360), interpolation=cv2.INTER_CUBIC)
    result = shown(image, PictureConfig(zoom=2, pan_x=pan_x, pan_y=pan_y))
    np.testing.assert_array_equal(result, wanted)


@settings(max_examples=60)
@given(st.integers(1, 90), st.integers(1, 160), st.floats(1, 4), st.floats(-1, 1), st.floats(-1, 1))
def test_any_part_of_any_frame(height: int, width: int, zoom: float, x: float, y: float) -> None:
    view = manual_crop(PictureConfig(zoom=zoom, pan_x=x, pan_y=y))
    assert view.inside() == pytest.approx(view)
    plain = np.full((height, width, 3), 7, np.uint8)
    assert (cropped(plain, view, (height, width)) == 7).all()
    alpha = np.random.default_rng(0).random((height, width)).astype(np.float32)
    part = cropped(alpha, view, (height, width))
    assert part.shape == alpha.shape
    assert 0 <= part.min() <= part.max() <= 1


def test_a_part_may_begin_between_pixels() -> None:
    """A moving view moves the picture by as much, without steps."""
    columns, rows = np.meshgrid(np.arange(640), np.arange(360))
    slanted = 255 / (1 + np.exp((columns - 320 - 0.37 * rows) / 3))
    edge = np.repeat(slanted[..., None], 3, axis=2).round().astype(np.uint8)
    crops = [Crop(0.5 + n / 6400, 0.5, 0.5) for n in range(40)]
    places = [640 / 255 * cropped(edge, crop, (360, 640)).mean() for crop in crops]
    steps = -np.diff(places)  # twice a tenth of a pixel
    np.testing.assert_allclose(steps, 0.2, atol=0.05)


def test_a_zoom_into_a_large_frame_uses_its_own_pixels() -> None:
    image = photo()
    config = PictureConfig(zoom=2, pan_x=-1, pan_y=-1)
    result = Framing()(Frame(image, 0.0, 0), config, (180, 320)).image
    np.testing.assert_array_equal(result, image[:180, :320])
    whole = Framing()(Frame(image, 0.0, 0), PictureConfig(), (180, 320)).image
    wanted = cv2.resize(image, (320, 180), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(whole, wanted)


@given(st.integers(1, 99), st.integers(1, 99), st.floats(1, 4), st.floats(-1, 1), st.floats(-1, 1))
def test_a_crop_at_rest_has_integer_pixels(
    height: int, width: int, zoom: float, x: float, y: float
) -> None:
    crop = manual_crop(PictureConfig(zoom=zoom, pan_x=x, pan_y=y)).aligned(height, width)
    rows, columns = round(height * crop.size), max(1, round(width * crop.size))
    for edge in (crop.y * height - rows / 2, crop.x * width - columns / 2):
        assert edge == pytest.approx(round(edge), abs=1e-6)
    assert crop.aligned(height, width) == crop
    assert FULL_CROP.aligned(height, width) == FULL_CROP


def test_a_cut_outs_alpha_goes_with_its_colours() -> None:
    alpha = np.zeros((360, 640), np.float32)
    alpha[:, 320:] = 1
    frame = Framing()(Frame(photo(), 0.0, 0, alpha), PictureConfig(zoom=2, pan_x=1))
    assert frame.alpha is not None
    assert (frame.alpha[:, 8:] == 1).all()


@pytest.mark.parametrize("degrees", ["90", "180", "270"])
def test_rotation_is_clockwise(degrees: str) -> None:
    image = numbered(3, 64, 48)
    alpha = image[..., 0].astype(np.float32) / np.float32(255)
    turned = rotate(Frame(image, 0.0, 0, alpha, pixel_aspect=Fraction(4, 3)), degrees)
    quarters = int(degrees) // 90
    np.testing.assert_array_equal(turned.image, np.rot90(image, -quarters))
    assert turned.alpha is not None
    np.testing.assert_array_equal(turned.alpha, np.rot90(alpha, -quarters))
    assert turned.pixel_aspect == (Fraction(4, 3) if degrees == "180" else Fraction(3, 4))
    assert turned.image.flags.c_contiguous


def test_a_rotated_video_keeps_its_times_sound_and_shape(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", aspect=Fraction(4, 3), audio="aac")
    out = tmp_path / "b.mp4"
    vidbg.process(clip, out, background=SHOW_ROOM, picture=PictureConfig(rotate="90"))
    with open_frames(clip) as before, open_frames(out) as after:
        assert (after.info.width, after.info.height) == (48, 64)
        assert after.info.sample_aspect_ratio == Fraction(3, 4)
        for one, other in zip(before, after, strict=True):
            assert other.pts == pytest.approx(one.pts)
            wanted = np.rot90(one.image, -1).astype(int)
            assert np.abs(other.image.astype(int) - wanted).mean() < 12
    with av.open(str(out)) as container:
        assert container.streams.audio


def test_photos_are_rotated_and_zoomed(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), photo())
    picture = PictureConfig(rotate="270", zoom=2, pan_y=-1)
    (written,) = vidbg.process(
        tmp_path / "a.png", tmp_path / "b.png", background=SHOW_ROOM, picture=picture
    )
    turned = np.rot90(photo())
    wanted = shown(np.ascontiguousarray(turned), PictureConfig(zoom=2, pan_y=-1))
    result = np.asarray(cv2.imread(str(written)), np.uint8)
    np.testing.assert_array_equal(result, wanted)


def test_interlaced_lines_are_not_turned() -> None:
    with pytest.raises(ConfigError, match="leave out --interlaced keep or --rotate"):
        vidbg.process(
            "a.ts",
            background="green",
            picture=PictureConfig(rotate="90"),
            written=OutputConfig(interlaced="keep"),
        )


def test_alpha_belongs_to_the_pixels_that_are_shown() -> None:
    """The network sees the part; the rest of the room is nowhere in the result."""
    image = np.full((90, 160, 3), 200, np.uint8)
    image[:, :80] = (7, 250, 119)  # a room that is not shown
    shapes = []

    def answer(batch: np.ndarray) -> np.ndarray:
        shapes.append(batch[0, :3].std(axis=(1, 2)).max())
        return np.ones(batch.shape[2:], np.float32)

    compositor = Compositor(CompositingConfig(ColourSpec((9, 9, 9))), open_frames)
    matter = VideoMatting(backend=ConstantBackend(answer))
    processor = CpuCompositing(matter, compositor, PictureConfig(zoom=2, pan_x=1))
    frame = Frame(image, 0.0, 0)
    assert (processor.finish(*processor.start(frame)).image == 200).all()
    assert shapes == [pytest.approx(0, abs=1e-5)]


def test_automatic_framing_of_a_video() -> None:
    """The person stands at the right, and comes nearer to the middle."""
    alpha = np.zeros((90, 160), np.float32)
    alpha[40:, 110:140] = 1
    alpha[25:40, 118:132] = 1
    room = np.full((90, 160, 3), 50, np.uint8)
    room[alpha > 0] = 220

    def answer(batch: np.ndarray) -> np.ndarray:
        return np.asarray(batch[0, 0] > 0.5, np.float32)

    compositor = Compositor(CompositingConfig(ColourSpec((0, 0, 0))), open_frames)
    matter = VideoMatting(backend=ConstantBackend(answer))
    processor = CpuCompositing(matter, compositor, PictureConfig(auto_frame=True))
    for number in range(150):
        frame = Frame(room, number / 30, number)
        made = processor.finish(*processor.start(frame)).image
    person = np.flatnonzero(made[-1, :, 0] > 100)
    assert person.mean() == pytest.approx(110, abs=8)  # 125 before; the frame ends at the right
    assert person.size >= 42  # 30 before
