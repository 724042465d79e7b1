"""Backgrounds: what each gives, what the words mean, what is refused."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow

from vidbg.compositing.backgrounds import (
    Background,
    BackgroundSpec,
    BlurSpec,
    BokehSpec,
    ColourSpec,
    FileSpec,
    FrameStream,
    PassthroughSpec,
    TransparentSpec,
    open_background,
    parse_background,
)
from vidbg.compositing.backgrounds.blur import BLUR_STRENGTH
from vidbg.compositing.backgrounds.camera_blur import CameraBackground, blur_background
from vidbg.compositing.backgrounds.camera_bokeh import (
    BASE_RADIUS,
    RADIUS_PER_STRENGTH,
    bokeh_background,
)
from vidbg.compositing.backgrounds.image import ImageBackground
from vidbg.compositing.backgrounds.video import VideoBackground
from vidbg.compositing.scaling import Fit, fill
from vidbg.errors import ConfigError, SourceError, SourceIncomplete
from vidbg.frame import Alpha, Frame, Image
from vidbg.picture.framing import Framing
from vidbg.picture.picture_config import PictureConfig
from vidbg.sources import open_frames

RED = (0, 0, 255)


class Clip:
    """A stream of plain frames; frame number i is wholly of code i."""

    opened = 0

    def __init__(self, times: Sequence[float]) -> None:
        type(self).opened += 1
        self.closed = False
        self._times = times

    def __iter__(self) -> Iterator[Frame]:
        for index, pts in enumerate(self._times):
            yield Frame(np.full((8, 8, 3), index, np.uint8), pts, index)

    def close(self) -> None:
        self.closed = True


def at(
    background: Background | None, pts: float = 0.0, height: int = 90, width: int = 160
) -> Image:
    assert background is not None
    frame = Frame(np.zeros((height, width, 3), np.uint8), pts, 0)
    return background.at(frame, np.zeros((height, width), np.float32))


def moving(times: Sequence[float]) -> VideoBackground:
    return VideoBackground(lambda **_: Clip(times), "cover", (0, 0, 0))


def shown(background: VideoBackground, *times: float) -> list[int]:
    return [int(at(background, pts)[0, 0, 0]) for pts in times]


def unreadable(path: Path, *, again: bool = False) -> FrameStream:  # noqa: ARG001
    raise SourceError(f"no video stream in {path.name}")


def open_file(path: Path, fit: Fit = "cover") -> Background | None:
    return open_background(FileSpec(path), fit=fit, bars=RED, open_frames=unreadable)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("blur", BlurSpec(50)),
        ("blur:40", BlurSpec(40)),
        ("blur:20", BlurSpec(20)),
        ("blur:100", BlurSpec(100)),
        ("bokeh", BokehSpec(50)),
        ("bokeh:20", BokehSpec(20)),
        ("#00ff00", ColourSpec((0, 255, 0))),
        ("#f80", ColourSpec((0, 136, 255))),
        ("color:navy", ColourSpec((128, 0, 0))),
        ("colour:#0000ff", ColourSpec((255, 0, 0))),
        ("green", ColourSpec((0x40, 0xB1, 0))),
        ("transparent", TransparentSpec()),
        ("none", PassthroughSpec()),
        ("./green", FileSpec(Path("green"))),
        ("beach.jpg", FileSpec(Path("beach.jpg"))),
        ("C:/rooms/a.png", FileSpec(Path("C:/rooms/a.png"))),
    ],
)
def test_words_and_paths(text: str, spec: BackgroundSpec) -> None:
    assert parse_background(text) == spec


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "blur:",
        "blur:0",
        "blur:5",
        "blur:19.9",
        "blur:101",
        "blur:-1",
        "blur:nan",
        "blur:x",
        "bokeh:19.9",
        "bokeh:x",
        "#12",
        "color:sky",
        "#",
    ],
)
def test_bad_words_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ConfigError, match=r"give|allowed|choose from") as refused:
        parse_background(text)
    assert "\n" not in str(refused.value)


@settings(max_examples=60)
@given(*[st.integers(1, 60)] * 4, st.sampled_from(["cover", "contain"]))
def test_filled_pictures_have_the_frames_size(h: int, w: int, th: int, tw: int, fit: Fit) -> None:
    filled = fill(np.full((h, w, 3), 9, np.uint8), th, tw, fit, RED)
    assert filled.shape == (th, tw, 3)
    assert filled.flags.c_contiguous
    if fit == "cover":
        assert (filled == 9).all()


def test_fit_shows_all_between_bars_and_cover_cuts() -> None:
    square = np.full((40, 40, 3), 200, np.uint8)
    square[:, :4] = 0
    fitted = at(ImageBackground(square, "contain", RED))
    assert (fitted[:, :35] == RED).all()
    assert (fitted[:, 125:] == RED).all()
    assert (fitted[:, 35:43] < 10).all()
    covered = at(ImageBackground(square, "cover", RED))
    assert (covered[:, :14] < 10).all()
    assert (covered[:, 20:] == 200).all()


def test_a_still_is_resized_once_a_size() -> None:
    still = ImageBackground(np.zeros((10, 10, 3), np.uint8), "cover", RED)
    assert at(still) is at(still, 5.0)
    assert at(still, height=30).shape == (30, 160, 3)


def test_pictures_are_turned_upright(tmp_path: Path) -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, :40] = 255
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    orientation_6 = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    exif = b"Exif\0\0" + orientation_6
    marker = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / "phone.jpg").write_bytes(jpeg[:2] + marker + jpeg[2:])
    upright = at(open_file(tmp_path / "phone.jpg"), height=80, width=40)
    assert upright[:36].min() > 240
    assert upright[44:].max() < 15


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_transparent_pictures_are_laid_over_the_bars_colour(tmp_path: Path, depth: type) -> None:
    bgra: NDArray[Any] = np.zeros((9, 16, 4), depth)
    bgra[:, 8:] = np.iinfo(depth).max
    cv2.imwrite(str(tmp_path / "logo.png"), bgra)
    flat = at(open_file(tmp_path / "logo.png"), height=9, width=16)
    assert (flat[:, :8] == RED).all()
    assert (flat[:, 8:] == 255).all()


def test_grey_pictures_have_three_channels(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((9, 16), 77, np.uint8))
    assert (at(open_file(tmp_path / "grey.png")) == 77).all()


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "does not exist"), (b"", "is empty"), (b"hello\n" * 9, "neither")],
)
@pytest.mark.parametrize("name", ["room.png", "room.gif", "room"])
def test_unreadable_files_are_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=reason) as refused:
        open_file(tmp_path / name)
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        open_file(tmp_path)


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not a picture")
    with pytest.raises(ConfigError, match="no frames"):
        open_background(FileSpec(tmp_path / "a.mp4"), open_frames=lambda _path, **_: Clip([]))


def test_a_gif_is_read_as_a_stream_of_frames(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    clip = open_background(
        FileSpec(tmp_path / "a.gif"), open_frames=lambda _path, **_: Clip([0, 0.5])
    )
    assert [int(at(clip, pts)[0, 0, 0]) for pts in (3.0, 3.5, 4.0)] == [0, 1, 0]


def test_a_moving_background_follows_time_and_loops() -> None:
    clip = moving([10.0, 10.1, 10.2, 10.3])
    assert shown(clip, 5.0, 5.05, 5.15, 5.21, 5.35) == [0, 0, 1, 2, 3]
    assert shown(clip, 5.41, 5.55, 5.85) == [0, 1, 0]


def test_jumps_skip_forward_and_restart_backward() -> None:
    clip = moving([0.0, 1.0, 2.0])
    assert shown(clip, 0.0, 2.5, 3000.5, 3001.5, 3000.5) == [0, 2, 0, 1, 0]
    assert shown(clip, -50.0, -48.5) == [0, 1]


def test_variable_frame_times_are_kept() -> None:
    assert shown(moving([0.0, 0.1, 1.0]), 0.0, 0.5, 0.99, 1.01, 1.85, 1.95) == [0, 1, 1, 2, 2, 0]


def test_a_single_frame_is_read_once() -> None:
    before = Clip.opened
    clip = moving([3.0])
    assert shown(clip, 0.0, 9.0, 1e6, 2.0) == [0, 0, 0, 0]
    assert Clip.opened == before + 1
    assert at(clip, 10.0) is at(clip, 11.0)


@settings(max_examples=50)
@given(st.integers(1, 6), st.lists(st.integers(0, 400), min_size=1, max_size=12))
def test_at_any_time_the_frame_due_is_shown(count: int, hundredths: list[int]) -> None:
    clip = moving([index / 4 for index in range(count)])
    shown(clip, 0.0)
    for moment in hundredths:
        # a millisecond off the frame's own time, where floating point may fall on either side
        due = int((moment / 100 + 0.001) * 4) % count
        assert shown(clip, moment / 100 + 0.001) == [due]


def test_streams_are_closed_at_each_restart_and_at_the_end() -> None:
    opened: list[Clip] = []

    def open_clip(**_: bool) -> Clip:
        opened.append(Clip([0.0, 1.0]))
        return opened[-1]

    clip = VideoBackground(open_clip, "cover", RED)
    shown(clip, 0.0, 2.5)
    assert [each.closed for each in opened] == [True, False]
    clip.close()
    clip.close()
    assert opened[-1].closed


def test_the_next_round_is_opened_while_the_last_frame_is_shown() -> None:
    opened: list[Clip] = []
    opening = threading.Event()

    def open_clip(*, again: bool = False) -> Clip:
        assert again == bool(opened)
        if opened:
            assert threading.current_thread() is not threading.main_thread()
            opening.set()
        opened.append(Clip([0.0, 1.0]))
        return opened[-1]

    clip = VideoBackground(open_clip, "cover", RED)
    assert shown(clip, 0.0, 1.5) == [0, 1]
    assert opening.wait(5)
    assert shown(clip, 2.5) == [0]
    assert shown(clip, 3.5) == [1]
    clip.close()  # the third round, which nobody came to see, is closed as well
    end_s = time.monotonic() + 5
    while not all(each.closed for each in opened):
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_a_video_that_vanishes_rests_on_its_last_picture(caplog: pytest.LogCaptureFixture) -> None:
    rounds = iter([Clip([0.0, 1.0])])

    def open_clip(**_: bool) -> Clip:
        try:
            return next(rounds)
        except StopIteration:
            raise SourceError("it is gone") from None

    clip = VideoBackground(open_clip, "cover", RED, "waves.mp4")
    assert shown(clip, 0.0, 1.5) == [0, 1]
    assert shown(clip, 2.5, 3.5, 9999.0, -5.0) == [1, 1, 1, 1]
    assert caplog.text.count("the background waves.mp4: its last frame stays (it is gone)") == 1


class BreakingClip(Clip):
    """Breaks off after its last frame."""

    def __iter__(self) -> Iterator[Frame]:
        yield from super().__iter__()
        raise SourceIncomplete("it breaks off at 0.3 s of 5.0 s")


def test_what_could_be_read_of_a_broken_video_is_repeated(caplog: pytest.LogCaptureFixture) -> None:
    clip = VideoBackground(lambda **_: BreakingClip([0.0, 0.1, 0.2]), "cover", RED, "waves.mp4")
    assert shown(clip, 0.0, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65) == [0, 1, 2, 0, 1, 2, 0]
    (message,) = caplog.messages
    assert message.startswith("the background waves.mp4: the part that could be read is repeated")
    assert "breaks off at 0.3 s" in message
    alone = VideoBackground(lambda **_: BreakingClip([0.0]), "cover", RED)
    assert shown(alone, 0.0, 7.0) == [0, 0]


def test_the_last_picture_is_shown_as_long_as_the_file_says() -> None:
    class Resting(Clip):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                yield replace(frame, duration_s=3.0 if frame.index == 2 else 0.1)

    clip = VideoBackground(lambda **_: Resting([0.0, 0.1, 0.2]), "cover", RED)
    assert shown(clip, 0.0, 0.15, 0.25, 3.15, 3.25, 3.35, 6.3) == [0, 1, 2, 2, 0, 1, 2]


@pytest.mark.parametrize(
    ("aspect", "before"),
    [(Fraction(1), Fraction(4, 3)), (Fraction(4, 3), Fraction(1)), (Fraction(2), Fraction(1, 2))],
)
def test_circles_stay_round_for_any_pixel_aspect(aspect: Fraction, before: Fraction) -> None:
    picture = np.zeros((120, round(160 / aspect), 3), np.uint8)
    axes = round(40 / aspect), 40
    cv2.ellipse(picture, (round(80 / aspect), 60), axes, 0, 0, 360, (255, 255, 255), -1)
    for fit in ("cover", "contain"):
        still = ImageBackground(picture, "cover" if fit == "cover" else "contain", RED, aspect)
        blank = np.zeros((90, round(120 / before), 3), np.uint8)
        filled = still.at(
            Frame(blank, 0.0, 0, pixel_aspect=before), blank[..., 0].astype(np.float32)
        )
        rows, columns = np.nonzero(filled[..., 1] > 127)
        assert np.ptp(columns) * float(before) == pytest.approx(np.ptp(rows), abs=2)
        assert np.ptp(rows) == pytest.approx(60, abs=1)


def test_a_colour_is_that_colour_at_every_size() -> None:
    colour = open_background(ColourSpec((1, 2, 3)), open_frames=unreadable)
    for height, width in ((4, 160), (500, 5), (720, 1280)):
        assert (at(colour, height=height, width=width) == (1, 2, 3)).all()


def person_in_a_room(height: int, width: int) -> tuple[Image, Alpha]:
    """Draw a red person in a green room, with a matte that is softer than the person."""
    hard = np.zeros((height, width), np.float32)
    cv2.circle(hard, (width // 2, height // 2), height // 4, 1.0, -1)
    image = np.where(hard[..., np.newaxis] > 0.5, (30, 30, 220), (60, 200, 60)).astype(np.uint8)
    return image, np.asarray(cv2.GaussianBlur(hard, (0, 0), height / 240), np.float32)


@pytest.mark.parametrize("strength", [20, 50, 100])
def test_the_persons_colour_does_not_shine_into_the_room(strength: float) -> None:
    image, alpha = person_in_a_room(720, 1280)
    blurred = blur_background(image, alpha, strength)
    observed = alpha < 0.9
    np.testing.assert_allclose(
        blurred[observed], np.full_like(blurred[observed], (60, 200, 60)), atol=2
    )


def test_blur_of_a_constant_is_that_constant() -> None:
    image = np.full((100, 130, 3), 90, np.uint8)
    blurred = blur_background(image, np.zeros((100, 130), np.float32), 70)
    np.testing.assert_allclose(blurred, image, atol=1)


def test_blur_grows_with_strength() -> None:
    image = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    empty = np.zeros((360, 640), np.float32)
    spreads = [blur_background(image, empty, strength).std() for strength in (20, 35, 50, 100)]
    assert spreads == sorted(spreads, reverse=True)


def stripes(height: int, width: int, periods: float) -> Image:
    """So many dark and light stripes upright in the length of the shorter side."""
    phase = 2 * np.pi * periods * np.arange(width) / min(height, width)
    line = np.rint(127.5 + 120 * np.sin(phase)).astype(np.uint8)
    return np.ascontiguousarray(
        np.broadcast_to(line[np.newaxis, :, np.newaxis], (height, width, 3))
    )


@pytest.mark.parametrize("size", [(720, 1280), (1080, 1920), (360, 640), (480, 640), (1280, 720)])
@pytest.mark.parametrize(("periods", "maximum"), [(20, 0.05), (30, 0.01), (60, 0.01)])
@pytest.mark.parametrize("zoom", [1, 2.5, 4])
def test_the_lowest_blur_leaves_nothing_recognisable(
    size: tuple[int, int], periods: float, maximum: float, zoom: float
) -> None:
    """A face 1.3 m away has three stripes of a twentieth across, a letter 6 cm high one or two.

    A zoom widens the stripes and shows fewer of them, and brings none back.
    """
    nobody = np.zeros(size, np.float32)
    framed = Framing()(Frame(stripes(*size, periods), 0, 0), PictureConfig(zoom=zoom, pan_x=-0.5))
    for blur in (blur_background, bokeh_background):
        blurred = CameraBackground(blur, BLUR_STRENGTH.minimum).at(framed, nobody)
        inside = blurred[:, size[1] // 4 : -size[1] // 4].astype(int)
        assert (inside.max() - inside.min()) / 240 <= maximum


@pytest.mark.parametrize("size", [(720, 1280), (480, 640)])
def test_bokeh_brings_no_pattern_back(size: tuple[int, int]) -> None:
    """Neither thin lines on dark or on bright walls, which its weights treat differently."""
    columns = (np.arange(32 * size[1]) + 0.5) / 32
    nobody = np.zeros(size, np.float32)
    for periods in (25, 33, 47, 90):
        for share in (0.15, 0.85):
            lines = (columns * periods / min(size)) % 1 < share
            image = np.empty((*size, 3), np.uint8)
            image[:] = (240 * lines.reshape(-1, 32).mean(axis=1)).round()[None, :, None]
            for strength in (20, 50, 100):
                blurred = bokeh_background(image, nobody, strength)
                inside = blurred[:, size[1] // 4 : -size[1] // 4].astype(int)
                assert (inside.max() - inside.min()) / 240 <= 0.02


def test_bokeh_turns_a_lamp_into_a_disc() -> None:
    room = np.full((720, 1280, 3), 20, np.uint8)
    cv2.circle(room, (640, 360), 12, (255, 255, 255), -1)
    nobody = np.zeros((720, 1280), np.float32)
    for strength in (20, 50, 100):
        shown = bokeh_background(room, nobody, strength)[..., 0].astype(int) - 20
        radius = 720 * (BASE_RADIUS + RADIUS_PER_STRENGTH * strength)
        down, across = np.mgrid[:720, :1280]
        away = np.hypot(down - 360, across - 640) / radius
        inside, edge = shown[away < 0.5], shown[(away > 0.95) & (away < 1.05)]
        assert inside.min() > 0.7 * inside.max() > 5
        assert 0.2 < edge.mean() / inside.mean() < 0.8
        assert shown[away > 1.6].max() <= 1


def test_the_persons_colours_do_not_shine_into_the_bokeh() -> None:
    image = np.full((360, 640, 3), 60, np.uint8)
    alpha = np.zeros((360, 640), np.float32)
    cv2.ellipse(image, (320, 240), (90, 160), 0, 0, 360, (0, 0, 255), -1)
    cv2.ellipse(alpha, (320, 240), (90, 160), 0, 0, 360, 1, -1)
    for strength in (20, 100):
        shown = bokeh_background(image, alpha, strength).astype(int)
        assert np.abs(shown - 60)[alpha == 0].max() <= 2
    assert (bokeh_background(image, np.ones_like(alpha), 50) == 0).all()


@pytest.mark.parametrize("strength", [0, 1, 5, 19.99, 100.5, -20, float("nan"), float("inf")])
def test_no_way_leads_to_a_weaker_blur(strength: float) -> None:
    with pytest.raises(ConfigError, match="give a number from 20 to 100"):
        BlurSpec(strength)
    with pytest.raises(ConfigError, match="give a number from 20 to 100"):
        BokehSpec(strength)


def test_blur_looks_the_same_at_720_and_1080_lines() -> None:
    small = np.zeros((720, 1280, 3), np.uint8)
    small[:, 640:] = 255
    large = np.zeros((1080, 1920, 3), np.uint8)
    large[:, 960:] = 255
    for strength in (20, 50, 100):
        a = blur_background(small, np.zeros((720, 1280), np.float32), strength)
        b = blur_background(large, np.zeros((1080, 1920), np.float32), strength)
        shrunk = cv2.resize(b, (1280, 720), interpolation=cv2.INTER_AREA)
        assert np.abs(shrunk.astype(int) - a).max() < 20  # of a step of 255 codes


def test_a_frame_wholly_person_is_no_error() -> None:
    image = np.full((50, 60, 3), 90, np.uint8)
    assert blur_background(image, np.ones((50, 60), np.float32), 50).shape == image.shape


def test_clear_places_of_a_moving_background_show_the_bars() -> None:
    image = np.full((8, 8, 3), 200, np.uint8)  # the colour that nobody is to see
    alpha = np.zeros((8, 8), np.float32)
    alpha[:, 4:] = 1
    frames = [Frame(image, float(index), index, alpha) for index in range(2)]

    class Transparent(Clip):
        def __iter__(self) -> Iterator[Frame]:
            return iter(frames)

    flat = at(VideoBackground(lambda: Transparent([]), "cover", RED), height=8, width=8)
    assert (flat[:, :4] == RED).all()
    assert (flat[:, 4:] == 200).all()


def test_a_still_is_refilled_for_another_pixel_aspect() -> None:
    still = ImageBackground(np.zeros((90, 160, 3), np.uint8), "contain", RED)
    assert (at(still) == 0).all()
    narrow = Frame(np.zeros((90, 160, 3), np.uint8), 0.0, 0, pixel_aspect=Fraction(1, 2))
    assert (still.at(narrow, np.zeros((90, 160), np.float32))[0, 0] == RED).all()


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_an_animated_picture_moves_as_a_background(tmp_path: Path, kind: str) -> None:
    frames = [Pillow.new("RGB", (16, 9), (level, 0, 0)) for level in (0, 200)]
    path = tmp_path / f"a.{kind.lower()}"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    background = open_background(FileSpec(path), open_frames=open_frames)
    reds = [int(at(background, pts)[4, 8, 2]) for pts in (0, 0.15)]
    assert reds == pytest.approx([0, 200], abs=4)


def test_a_picture_that_is_too_large_is_refused_in_one_line(tmp_path: Path) -> None:
    Pillow.new("1", (8, 8)).save(tmp_path / "huge.bmp")
    data = bytearray((tmp_path / "huge.bmp").read_bytes())
    data[18:26] = struct.pack("<ii", 40_000, 40_000)
    (tmp_path / "huge.bmp").write_bytes(data)
    with pytest.raises(ConfigError, match=r"huge\.bmp.* 40000x40000 pixels") as refused:
        open_file(tmp_path / "huge.bmp")
    assert "\n" not in str(refused.value)
