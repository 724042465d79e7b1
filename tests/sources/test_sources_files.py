"""Reading video files, streams, animations and pictures."""

from __future__ import annotations

import io
import itertools
import os
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import cv2
import numpy as np
import pytest
from clips import (
    SIZE,
    THIRTIETH,
    middles,
    number_of,
    numbered,
    patches,
    write_clip,
    yuv_frame,
)
from contracts import (
    check_source_closes,
    check_source_closes_from_another_thread,
    check_source_gives_frames_in_order,
)
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow

from vidbg.errors import SourceError, SourceIncomplete
from vidbg.frame import Colour, Frame
from vidbg.sinks.files.video_file_sink import VideoFileSink
from vidbg.sources import Source
from vidbg.sources.files.images_source import ImagesSource
from vidbg.sources.files.orientation import Orientation
from vidbg.sources.files.video_file_source import VideoFileSource

B_FRAMES = {"bf": "3", "b_strategy": "0", "crf": "10"}
UNEVEN = [0, 1, 2, 5, 6, 11, 30, 31, 33, 90]


class Pipe(io.RawIOBase):
    """A file that cannot be rewound, as standard input is."""

    def __init__(self, path: Path) -> None:
        self._data = io.BytesIO(path.read_bytes())

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._data.read(size)


def pipe(path: Path) -> BinaryIO:
    return cast(BinaryIO, Pipe(path))


def write_animation(path: Path) -> Path:
    animation = cv2.Animation()
    pictures = [numbered(index, *SIZE) for index in range(5)]
    animation.frames = [cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA) for picture in pictures]
    animation.durations = cast(Any, np.array([100, 200, 100, 50, 100]))
    cv2.imwriteanimation(str(path), animation)
    return path


def write_pictures(folder: Path) -> list[Path]:
    paths = [folder / f"{index}.png" for index in range(3)]
    for index, path in enumerate(paths):
        cv2.imwrite(str(path), numbered(index, 40 + index, 30))
    return paths


MEMBERS: dict[str, Callable[[Path], Source]] = {
    "mp4": lambda folder: VideoFileSource(write_clip(folder / "a.mp4", options=B_FRAMES)),
    "mkv": lambda folder: VideoFileSource(write_clip(folder / "a.mkv", options=B_FRAMES)),
    "odd size": lambda folder: VideoFileSource(
        write_clip(folder / "a.mp4", size=(65, 47), pixel_format="yuv444p")
    ),
    "10 bit": lambda folder: VideoFileSource(
        write_clip(folder / "a.mkv", codec="libx265", pixel_format="yuv420p10le")
    ),
    "gif": lambda folder: VideoFileSource(write_animation(folder / "a.gif")),
    "webp": lambda folder: VideoFileSource(write_animation(folder / "a.webp")),
    "ts pipe": lambda folder: VideoFileSource(pipe(write_clip(folder / "a.ts"))),
    "images": lambda folder: ImagesSource(write_pictures(folder)),
}


@pytest.fixture(params=MEMBERS)
def open_source(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Source]:
    return lambda: MEMBERS[request.param](tmp_path)


def test_source_gives_frames_in_order(open_source: Callable[[], Source]) -> None:
    check_source_gives_frames_in_order(open_source)


def test_source_closes(open_source: Callable[[], Source]) -> None:
    check_source_closes(open_source)


def test_source_closes_from_another_thread(open_source: Callable[[], Source]) -> None:
    check_source_closes_from_another_thread(open_source)


@pytest.mark.parametrize(
    ("name", "ticks", "time_base", "options"),
    [
        ("b.mp4", list(range(20)), THIRTIETH, B_FRAMES),
        ("ntsc.mov", [1001 * n for n in range(20)], Fraction(1, 30000), B_FRAMES),
        ("vfr.mp4", UNEVEN, THIRTIETH, B_FRAMES),
        ("late.mp4", [500 + 512 * n for n in range(9)], Fraction(1, 15360), {}),
        ("ms.mkv", [0, 33, 67, 100, 950], Fraction(1, 1000), B_FRAMES),
    ],
)
def test_times_come_from_the_file(
    tmp_path: Path, name: str, ticks: list[int], time_base: Fraction, options: dict[str, str]
) -> None:
    clip = write_clip(tmp_path / name, ticks=ticks, time_base=time_base, options=options)
    with VideoFileSource(clip) as source:
        frames = list(source)
        own_ticks = [frame.pts / float(source.info.time_base or 1) for frame in frames]
    since_start = [float((tick - ticks[0]) * time_base) for tick in ticks]
    assert [frame.pts for frame in frames] == pytest.approx(since_start)
    assert own_ticks == pytest.approx(np.rint(own_ticks), abs=1e-6)
    assert [number_of(frame.image) for frame in frames] == [n % 24 for n in range(len(ticks))]


def test_what_an_edit_list_cuts_off_is_not_given(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "cut.mp4", ticks=range(20), cut_ticks=5)
    with VideoFileSource(clip) as source:
        frames = list(source)
    assert [number_of(frame.image) for frame in frames] == list(range(5, 20))
    assert frames[0].pts == 0


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4", "a.flv", "a.wmv"])
def test_a_clock_that_starts_late_is_counted_from_the_start(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    plain = write_clip(
        tmp_path / "plain.mp4", ticks=range(45), audio="libmp3lame", options={"bf": "0"}
    )
    with VideoFileSource(_shifted(plain, tmp_path / name, 3600)) as source:
        times = [frame.pts for frame in source]
        assert source.relay is not None
        packets = list(iter(source.relay.pop, None))
    assert times[0] == pytest.approx(0, abs=0.1)
    assert times[-1] - times[0] == pytest.approx(44 / 30, abs=0.04)
    assert float(packets[0].pts * packets[0].time_base) == pytest.approx(0, abs=0.1)
    assert not caplog.text


def _shifted(plain: Path, path: Path, seconds: int) -> Path:
    """Copy the packets into another container, on a clock that starts late."""
    with av.open(str(plain)) as given, av.open(str(path), "w") as written:
        streams = {s.index: written.add_stream_from_template(s) for s in given.streams}
        for packet in given.demux():
            if packet.dts is not None and packet.pts is not None:
                packet.pts += round(seconds / packet.time_base)
                packet.dts += round(seconds / packet.time_base)
                packet.stream = streams[packet.stream_index]
                written.mux(packet)
    return path


def test_a_picture_hours_after_its_sound_follows_it(tmp_path: Path) -> None:
    hour = 90_000 * 3600
    clip = write_clip(
        tmp_path / "a.ts",
        ticks=[hour + 3000 * n for n in range(9)],
        time_base=Fraction(1, 90_000),
        audio="aac",
    )
    with VideoFileSource(clip) as source:
        times = [frame.pts for frame in source]
    assert 0 <= times[0] < 2  # a gap of more than ten seconds is closed, as ffmpeg does
    assert np.diff(times) == pytest.approx(np.full(8, 1 / 30), abs=1e-3)


@pytest.mark.parametrize(
    ("name", "gap_s", "seen_s"), [("a.ts", 5, 5), ("a.ts", 20, 0), ("a.mp4", 20, 20)]
)
@pytest.mark.parametrize("b_frames", [False, True])
def test_gaps_are_kept_or_closed_as_ffmpeg_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture,
    name: str, gap_s: int, seen_s: int, b_frames: bool,
) -> None:  # fmt: skip
    ticks = [*range(20), *range(20 + 30 * gap_s, 40 + 30 * gap_s)]
    options = {**B_FRAMES, "g": "60"} if b_frames else {"bf": "0", "g": "20"}
    clip = write_clip(tmp_path / name, ticks=ticks, options=options)
    with VideoFileSource(clip) as source:
        frames = list(source)
    times = [frame.pts for frame in frames]
    assert [number_of(frame.image) for frame in frames] == [index % 24 for index in range(40)]
    assert times[20] - times[19] == pytest.approx(seen_s + 1 / 30, abs=0.15 if b_frames else 0.04)
    assert times[-1] - times[20] == pytest.approx(19 / 30, abs=0.01)
    assert "no time of their own" not in caplog.text


@pytest.mark.parametrize(("name", "codec"), [("a.ts", "libx264"), ("a.mpg", "mpeg2video")])
def test_joined_files_run_on(
    tmp_path: Path, name: str, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    sound = "aac" if name == "a.ts" else "libmp3lame"
    part = write_clip(
        tmp_path / f"part{Path(name).suffix}", ticks=range(60), codec=codec, audio=sound,
        options={"g": "12"},
    )  # fmt: skip
    (tmp_path / name).write_bytes(part.read_bytes() * 3)
    with VideoFileSource(tmp_path / name) as source:
        frames = list(source)
        assert source.relay is not None
        packets = list(iter(source.relay.pop, None))
    times = np.array([frame.pts for frame in frames])
    assert len(frames) >= 3 * 60 - 2
    assert times[-1] == pytest.approx(6, abs=0.4)
    assert 0 < np.diff(times).min() <= np.diff(times).max() < 0.3
    heard = [float(p.dts * p.time_base) for p in packets]
    assert max(heard) == pytest.approx(times[-1] - 1, abs=0.3)  # a second of sound in each part
    assert "its clock jumps" in caplog.text


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_the_last_picture_of_an_animation_has_its_duration(tmp_path: Path, suffix: str) -> None:
    animation = cv2.Animation()
    pictures = [numbered(index, *SIZE) for index in range(3)]
    animation.frames = [cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA) for picture in pictures]
    animation.durations = cast(Any, np.array([100, 200, 3000]))
    cv2.imwriteanimation(str(tmp_path / f"a{suffix}"), animation)
    with VideoFileSource(tmp_path / f"a{suffix}") as source:
        frames = list(source)
    assert [frame.pts for frame in frames] == pytest.approx([0, 0.1, 0.3])
    assert frames[-1].duration_s == pytest.approx(3)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("options", [B_FRAMES, {"bf": "0"}])
def test_the_last_frame_of_a_video_has_its_duration(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    plain = write_clip(tmp_path / "plain.mp4", ticks=range(10), options=options)
    with av.open(str(plain)) as given, av.open(str(tmp_path / name), "w") as written:
        stream = written.add_stream_from_template(given.streams.video[0])
        packets = [packet for packet in given.demux(video=0) if packet.dts is not None]
        end = max(packets, key=lambda packet: packet.pts or 0)
        for packet in packets:
            if packet is (end if name == "a.mkv" else packets[-1]):
                packet.duration = int(3 / packet.time_base)
            packet.stream = stream
            written.mux(packet)
    with VideoFileSource(tmp_path / name) as source:
        frames = list(source)
    assert len(frames) == 10
    assert frames[-1].duration_s == pytest.approx(3, abs=0.1)
    assert frames[-1].pixel_aspect == 1


def test_subtitles_before_a_late_start_move_nothing(tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "plain.mp4", ticks=range(30), options={"bf": "0"})
    with av.open(str(plain)) as given, av.open(str(tmp_path / "a.mkv"), "w") as written:
        stream = written.add_stream_from_template(given.streams.video[0])
        words = written.add_mux_stream("subrip")
        for text, start_ms, length_ms in [
            (b"gone", 0, 500),
            (b"cut", 9500, 700),
            (b"x", 10_500, 9),
        ]:
            line = av.Packet(text)
            line.stream, line.time_base = words, Fraction(1, 1000)
            line.pts = line.dts = start_ms
            line.duration = length_ms
            written.mux(line)
        for packet in given.demux(video=0):
            if packet.dts is not None and packet.pts is not None:
                packet.pts += round(10 / packet.time_base)
                packet.dts += round(10 / packet.time_base)
                packet.stream = stream
                written.mux(packet)
    with VideoFileSource(tmp_path / "a.mkv") as source:
        assert next(iter(source)).pts == 0
        for _ in source:
            pass
        assert source.relay is not None
        texts = list(iter(source.relay.pop, None))
    assert [(bytes(p), p.pts, p.duration) for p in texts] == [(b"cut", 0, 200), (b"x", 500, 9)]


def _interlaced(path: Path, *, top: bool = True, count: int = 20) -> Path:
    """Write a bright bar that moves 4 pixels a field over a dark ground."""

    def fields(index: int) -> av.VideoFrame:
        picture = np.full((96, 128, 3), 30, np.uint8)
        for field in (0, 1):
            left = 4 * (2 * index + field) % 100
            lines = slice(field if top else 1 - field, None, 2)
            picture[lines, left : left + 24] = 220
        return av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p")

    marks = {"flags": "+ildct+ilme", "x264-params": f"{'tff' if top else 'bff'}=1", "crf": "4"}
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=128, height=96, format=av.VideoFormat("yuv420p"), time_base=Fraction(1, 25)
    )
    mark = graph.add("setfield", "tff" if top else "bff")
    graph.link_nodes(source, mark, graph.add("buffersink")).configure()

    def marked(index: int) -> av.VideoFrame:
        frame = fields(index)
        frame.pts, frame.time_base = index, Fraction(1, 25)
        graph.vpush(frame)
        return graph.vpull()

    return write_clip(
        path, ticks=range(count), time_base=Fraction(1, 25), size=(128, 96), options=marks,
        frame_of=marked,
    )  # fmt: skip


def _combing(image: NDArray[Any]) -> float:
    """How much neighbouring lines differ, where lines of one field do not."""
    grey = image[..., 1].astype(int)
    return float(np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean())


@pytest.mark.parametrize("top", [True, False])
def test_interlaced_frames_become_full_pictures(tmp_path: Path, top: bool) -> None:
    clip = _interlaced(tmp_path / "a.mp4", top=top)
    with VideoFileSource(clip, interlaced="keep") as source:
        kept = list(source)
        assert source.info.field_order == ("top" if top else "bottom")
    with VideoFileSource(clip) as source:
        whole = list(source)
        assert source.info.field_order == "progressive"
    assert [frame.pts for frame in whole] == [frame.pts for frame in kept]
    assert [frame.index for frame in whole] == list(range(20))
    assert np.mean([_combing(frame.image) for frame in kept]) > 10
    assert np.mean([_combing(frame.image) for frame in whole[1:-1]]) < 2
    for index, frame in enumerate(whole[2:-2], 2):  # each shows the time of its first field
        bar = np.flatnonzero(frame.image[48, :, 1] > 125)
        assert bar[0] == pytest.approx(8 * index % 100, abs=2)


def test_kept_fields_are_reported_even_if_the_first_frames_have_none(tmp_path: Path) -> None:
    """As in broadcasts, whose programmes follow one another in one stream."""
    film = write_clip(
        tmp_path / "a.ts", ticks=range(10), time_base=Fraction(1, 25), size=(128, 96)
    ).read_bytes()
    mixed = tmp_path / "mixed.ts"
    mixed.write_bytes(film + _interlaced(tmp_path / "b.ts").read_bytes())
    with VideoFileSource(mixed, interlaced="keep") as source:
        assert source.info.field_order == "top"
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(30))
    assert all(one.pts < two.pts for one, two in itertools.pairwise(frames))


def test_progressive_frames_are_not_filtered(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    with VideoFileSource(clip) as source, VideoFileSource(clip, interlaced="keep") as other:
        for one, two in zip(source, other, strict=True):
            assert np.array_equal(one.image, two.image)
        assert other.info.field_order == "progressive"


def test_concealed_damage_is_reported(tmp_path: Path) -> None:
    clip = write_clip(
        tmp_path / "a.mp4", ticks=range(60), size=(256, 192), options={"crf": "4", "g": "60"},
        frame_of=lambda n: av.VideoFrame.from_ndarray(
            np.roll(patches(256, 192, seed=n // 4), 3 * n, 1), format="bgr24"
        ).reformat(format="yuv420p"),
    )  # fmt: skip
    data = bytearray(clip.read_bytes())
    place = (data.index(b"mdat") + len(data)) // 2
    data[place : place + 3000] = np.random.default_rng(1).bytes(3000)
    clip.write_bytes(data)
    given: list[Frame] = []
    with VideoFileSource(clip) as source, pytest.raises(SourceIncomplete, match="is damaged"):
        given.extend(source)
    assert len(given) > 40


def test_tags_and_chapters_go_along(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "plain.mp4", ticks=range(60), audio="aac")
    with av.open(str(clip)) as given, av.open(str(tmp_path / "a.mkv"), "w") as written:
        written.metadata.update({"title": "Talk", "creation_time": "2023-05-01T10:00:00Z"})
        unit = Fraction(1, 1000)
        written.set_chapters(
            [
                {"id": n, "start": 10_000 + n, "end": 10_500, "time_base": unit, "metadata": {}}
                for n in range(2)
            ]
        )
        streams = {s.index: written.add_stream_from_template(s) for s in given.streams}
        for packet in given.demux():
            if packet.dts is not None and packet.pts is not None:
                packet.pts += round(10 / packet.time_base)
                packet.dts += round(10 / packet.time_base)
                packet.stream = streams[packet.stream_index]
                written.mux(packet)
    with VideoFileSource(tmp_path / "a.mkv") as source:
        assert source.relay is not None
        relay = source.relay
    assert relay.tags["title"] == "Talk"
    assert relay.tags["creation_time"].startswith("2023-05-01T10:00:00")
    assert not {"encoder", "ENCODER", "DURATION"} & set(relay.tags)
    starts = [chapter["start"] * chapter["time_base"] for chapter in relay.chapters]
    assert [float(start) for start in starts] == pytest.approx([0.02, 0.02], abs=0.03)


@pytest.mark.parametrize("signs", [*itertools.product((1, -1), (1, -1), (False, True))])
def test_display_matrix_turns_pictures_upright(
    tmp_path: Path, signs: tuple[int, int, bool]
) -> None:
    one = 1 << 16
    first, second, swapped = signs[0] * one, signs[1] * one, signs[2]
    linear = (0, first, second, 0) if swapped else (first, 0, 0, second)
    matrix = [linear[0], linear[1], 0, linear[2], linear[3], 0, 0, 0, 1 << 30]
    upright = numbered(3, *(SIZE[::-1] if swapped else SIZE))
    stored = _stored(upright, np.array(linear).reshape(2, 2) / one)
    clip = write_clip(
        tmp_path / "a.mp4", ticks=range(2), matrix=matrix, options={"crf": "1"},
        pixel_format="yuv444p", colour=Colour(matrix=5),
        frame_of=lambda _: yuv_frame(stored, 0.299, 0.114, full_range=False),
    )  # fmt: skip
    with VideoFileSource(clip) as source:
        frame = next(iter(source))
        assert (source.info.width, source.info.height) == (upright.shape[1], upright.shape[0])
    assert np.abs(frame.image.astype(int) - upright).mean() < 3


def _stored(upright: NDArray[Any], matrix: NDArray[Any]) -> Any:
    """By the definition: a stored (x, y) is shown at (x, y) @ matrix, moved into view."""
    height, width = upright.shape[:2]
    size = np.abs(matrix) @ (width, height)  # of the stored picture
    grid = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), axis=-1)
    shown = grid @ matrix
    shown -= shown.min(axis=(0, 1))
    x, y = shown[..., 0].astype(int), shown[..., 1].astype(int)
    return np.ascontiguousarray(upright[y, x])


@given(st.booleans(), st.booleans(), st.booleans())
def test_orientation_moves_pixels_and_loses_none(swap: bool, across: bool, down: bool) -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    turned = Orientation(swap, across, down).apply(image)
    back = turned[:: -1 if down else 1, :: -1 if across else 1]
    assert np.array_equal(back.transpose(1, 0, 2) if swap else back, image)


@pytest.mark.parametrize(
    ("colour", "kr", "kb"),
    [
        (Colour(matrix=1), 0.2126, 0.0722),
        (Colour(matrix=1, full_range=True), 0.2126, 0.0722),
        (Colour(matrix=5), 0.299, 0.114),
        (Colour(matrix=6, full_range=True), 0.299, 0.114),
        (Colour(matrix=9), 0.2627, 0.0593),
        (Colour(), 0.299, 0.114),  # unspecified, below 720 lines
    ],
)
def test_colours_are_right_to_one_code(
    tmp_path: Path, colour: Colour, kr: float, kb: float
) -> None:
    image = patches(240, 144)
    frame = yuv_frame(image, kr, kb, full_range=colour.full_range)
    clip = write_clip(
        tmp_path / "a.mp4", ticks=range(2), size=(240, 144), pixel_format="yuv444p",
        options={"qp": "0"}, colour=colour, frame_of=lambda _: frame,
    )  # fmt: skip
    with VideoFileSource(clip) as source:
        error = middles(next(iter(source)).image).astype(int) - middles(image)
        assert source.info.colour == colour
    assert np.abs(error).max() <= 2  # half a code in, one from rounding chroma, half out
    assert abs(error.mean()) < 0.6


def test_unspecified_colour_of_720_lines_is_bt709(tmp_path: Path) -> None:
    image = patches(128, 720)
    clip = write_clip(
        tmp_path / "a.mp4", ticks=[0], size=(128, 720), pixel_format="yuv444p",
        options={"qp": "0"}, frame_of=lambda _: yuv_frame(image, 0.2126, 0.0722, full_range=False),
    )  # fmt: skip
    with VideoFileSource(clip) as source:
        assert np.abs(middles(next(iter(source)).image).astype(int) - middles(image)).max() <= 2


def test_pixel_aspect_ratio_is_kept_and_turned(tmp_path: Path) -> None:
    wide = write_clip(tmp_path / "wide.mp4", aspect=Fraction(4, 3))
    quarter = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    turned = write_clip(tmp_path / "turned.mp4", aspect=Fraction(4, 3), matrix=quarter)
    with VideoFileSource(wide) as source:
        assert source.info.sample_aspect_ratio == Fraction(4, 3)
    with VideoFileSource(turned) as source:
        assert source.info.sample_aspect_ratio == Fraction(3, 4)


def test_transparent_animation_has_alpha(tmp_path: Path) -> None:
    picture = np.zeros((20, 30, 4), np.uint8)
    picture[:, :15] = (10, 20, 200, 255)
    animation = cv2.Animation()
    animation.frames = [picture, picture[:, ::-1]]
    animation.durations = cast(Any, np.array([50, 50]))
    cv2.imwriteanimation(str(tmp_path / "a.webp"), animation)
    with VideoFileSource(tmp_path / "a.webp") as source:
        frame = next(iter(source))
    assert frame.alpha is not None
    assert frame.alpha[:, :15].min() == 1
    assert frame.alpha[:, 15:].max() == 0
    assert np.abs(frame.image[:, :15].astype(int) - (10, 20, 200)).max() <= 3


@pytest.mark.parametrize("codec", ["libx265", "libx264"])
def test_a_video_without_a_frame_is_refused_with_the_way_out(tmp_path: Path, codec: str) -> None:
    clip = write_clip(tmp_path / "a.mp4", codec=codec, ticks=range(3))
    data = bytearray(clip.read_bytes())
    start = data.index(b"mdat") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big") - 8
    data[start : start + size] = bytes(size)
    clip.write_bytes(data)
    with pytest.raises(SourceError, match=r"no frame of its .* is it complete\?"):
        VideoFileSource(clip)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_an_animated_avif_keeps_times_and_alpha(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: str
) -> None:
    stored = np.dstack([numbered(3, *SIZE)[..., ::-1], np.full(SIZE[::-1], 255, np.uint8)])
    stored[:, :20, 3] = 0
    first, *others = [Pillow.fromarray(np.roll(stored, n, 0)).convert(mode) for n in range(3)]
    durations = [40, 100, 400]
    path = tmp_path / "a.avif"
    first.save(path, save_all=True, append_images=others, duration=durations, quality=95)
    with VideoFileSource(path) as source:
        assert source.info.has_alpha == (mode == "RGBA")
        frames = list(source)
    assert [round(frame.pts, 3) for frame in frames] == [0, 0.04, 0.14]
    assert frames[-1].duration_s == pytest.approx(0.4)
    for frame in frames:
        assert (frame.alpha is None) == (mode == "RGB")
        if frame.alpha is not None:
            assert frame.alpha[:, :16].max() < 0.05
            assert frame.alpha[:, 24:].min() > 0.95
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.webm", "libvpx-vp9"), ("b.webm", "libvpx"), ("c.mkv", "libvpx-vp9"), ("d.mov", "qtrle")],
)
@pytest.mark.parametrize("transposed", [False, True])
def test_alpha_of_a_video_is_read(tmp_path: Path, name: str, codec: str, transposed: bool) -> None:
    one = 1 << 16
    matrix = [0, one, 0, one, 0, 0, 0, 0, 1 << 30] if transposed else None
    stored = np.dstack([numbered(3, *SIZE)[..., ::-1], np.full(SIZE[::-1], 255, np.uint8)])
    stored[:, :20, 3] = 0
    picture = av.VideoFrame.from_ndarray(stored, format="rgba")
    pixel_format = "argb" if codec == "qtrle" else "yuva420p"
    vpx = {} if codec == "qtrle" else {"auto-alt-ref": "0", "crf": "4", "b": "2M"}
    clip = write_clip(
        tmp_path / name, ticks=range(8), codec=codec, pixel_format=pixel_format, options=vpx,
        frame_of=lambda _: picture.reformat(format=pixel_format), matrix=matrix,
    )  # fmt: skip
    with VideoFileSource(clip) as source:
        assert source.info.has_alpha
        assert (source.info.width, source.info.height) == (SIZE[::-1] if transposed else SIZE)
        frames = list(source)
    assert len(frames) == 8
    for frame in frames:
        assert frame.alpha is not None
        alpha = frame.alpha.T if transposed else frame.alpha
        assert alpha[:, :16].max() < 0.05
        assert alpha[:, 24:].min() > 0.95
    assert [round(frame.pts * 30) for frame in frames] == list(range(8))


def test_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no video stream, only audio, cover picture"):
        VideoFileSource(_with_cover(tmp_path / "a.m4a", video=False))
    with VideoFileSource(_with_cover(tmp_path / "a.mp4", video=True)) as source:
        assert (source.info.width, source.info.height) == SIZE
        assert len(list(source)) == 3


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_cover_picture_is_kept_by_mp4(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    clip = _with_cover(tmp_path / "in.mp4", video=True)
    with (
        VideoFileSource(clip) as source,
        VideoFileSink(tmp_path / f"out{suffix}", source.info, relay=source.relay) as sink,
    ):
        for frame in source:
            sink.write(frame)
    pictures = []
    for path in (clip, tmp_path / f"out{suffix}"):
        with av.open(str(path)) as container:
            pictures += [
                bytes(p)
                for p in container.demux()
                if p.stream.disposition & av.stream.Disposition.attached_pic and p.size
            ]
    assert len(pictures) == (2 if suffix == ".mp4" else 1)
    assert len(set(pictures)) == 1
    told = f"video stream 1 (mjpeg, und) is left out: {suffix} cannot hold it"
    assert (told in caplog.text) == (suffix != ".mp4")


def _with_cover(path: Path, *, video: bool) -> Path:
    with av.open(str(path), "w", format="mp4") as container:
        cover: Any = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        stream: Any = container.add_stream(
            "libx264" if video else "aac", rate=30 if video else 8000
        )
        if video:
            stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        else:
            stream.layout = "mono"
        picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="bgr24")
        container.mux(cover.encode(picture.reformat(format="yuvj420p")))
        for _ in range(3):
            if video:
                frame: Any = av.VideoFrame.from_ndarray(numbered(0, *SIZE), format="bgr24")
            else:
                silence = np.zeros((1, 1024), np.float32)
                frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
                frame.sample_rate = 8000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.y4m", "a.mkv", "a.ts", "a.mjpeg"])
def test_pipes_are_read(tmp_path: Path, name: str) -> None:
    codec, pixel_format = {
        ".y4m": ("wrapped_avframe", "yuv420p"),
        ".mjpeg": ("mjpeg", "yuvj420p"),
    }.get(Path(name).suffix, ("libx264", "yuv420p"))
    file_format = {".y4m": "yuv4mpegpipe", ".mjpeg": "mjpeg"}.get(Path(name).suffix)
    options = {"qmin": "2", "qmax": "2"} if codec == "mjpeg" else {}
    clip = write_clip(
        tmp_path / name, codec=codec, pixel_format=pixel_format, file_format=file_format,
        options=options,
    )  # fmt: skip
    with VideoFileSource(pipe(clip)) as source:
        assert [number_of(frame.image) for frame in source] == list(range(12))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_a_photo_from_a_pipe_is_one_frame(tmp_path: Path, suffix: str) -> None:
    """So that it fits into one picture."""
    cv2.imwrite(str(tmp_path / f"a{suffix}"), numbered(5, *SIZE))
    with pipe(tmp_path / f"a{suffix}") as stream, VideoFileSource(stream) as source:
        assert source.info.frame_count == 1
        assert [number_of(frame.image) for frame in source] == [5]


def test_mp4_with_its_index_at_the_end_is_refused_from_a_pipe(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for seed in range(9):  # more than a reader can hold back
            noise = np.random.default_rng(seed).integers(0, 256, (240, 320, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="bgr24")))
        container.mux(stream.encode(None))
    with pytest.raises(SourceError, match="needs its index in front"):
        VideoFileSource(pipe(tmp_path / "a.mp4"))
    with VideoFileSource(tmp_path / "a.mp4") as source:
        assert len(list(source)) == 9


def test_standard_input_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = write_clip(tmp_path / "a.mkv")
    with clip.open("rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        with VideoFileSource("-") as source:
            assert len(list(source)) == 12


def test_relay_gets_every_packet_of_the_sound(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", audio="libopus")
    with VideoFileSource(clip) as source:
        for _ in source:
            pass
        assert source.relay is not None
        relayed = list(iter(source.relay.pop, None))
    with av.open(str(clip)) as container:
        stored = [packet for packet in container.demux(audio=0) if packet.size]
    assert [bytes(packet) for packet in relayed] == [bytes(packet) for packet in stored]
    assert [packet.pts for packet in relayed] == [packet.pts for packet in stored]


def test_no_relay_is_used_unless_configured(tmp_path: Path) -> None:
    with VideoFileSource(write_clip(tmp_path / "a.mp4")) as source:
        assert source.relay is not None
        assert source.relay.streams == []
    clip = write_clip(tmp_path / "b.mp4", audio="aac")
    with VideoFileSource(clip, copy_streams=False) as source:
        assert source.relay is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.mp4", None, "there is no file"),
        ("empty.mp4", b"", "is empty"),
        ("words.txt", b"a letter, not a video\n" * 40, "is a text file"),
        ("words.mp4", b"a letter, not a video\n" * 40, "is not a video"),
        ("noise.mkv", bytes(range(256)) * 40, "is not a video"),
        ("headless.mp4", b"\0\0\0\x18ftypisom" + bytes(400), "without its index"),
    ],
)
def test_a_file_that_is_no_video_is_refused(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        VideoFileSource(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_sound_or_pipe_without_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        VideoFileSource(tmp_path)
    with pytest.raises(SourceError, match="from a pipe"):
        VideoFileSource(io.BytesIO(b"not a video" * 99))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_truncated_file_yields_its_readable_part(tmp_path: Path, name: str) -> None:
    clip = write_clip(tmp_path / name, ticks=range(90), options={"crf": "10"}, size=(256, 192))
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    given: list[Frame] = []
    with VideoFileSource(clip) as source:
        with pytest.raises(SourceIncomplete, match=r"breaks off at .* of 3\.0 s"):
            given.extend(source)
        assert next(iter(source), None) is None
    assert 20 < len(given) < 80
    assert [number_of(f.image) for f in given] == [round(f.pts * 30) % 24 for f in given]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.y4m", "rawvideo"),
        ("a.gif", "gif"),
        ("a.avi", "mjpeg"),
        ("a.ogv", "libvpx"),
        ("a.mxf", "mpeg2video"),
    ],
)
def test_a_file_that_ends_midway_is_reported_in_every_container(
    tmp_path: Path, name: str, codec: str
) -> None:
    """Also where the container does not say how long it should be."""
    pixel_format = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    ticks, rate = (range(60), Fraction(1, 100)) if codec == "gif" else (range(90), THIRTIETH)
    clip = write_clip(
        tmp_path / name, ticks=ticks, codec=codec, pixel_format=pixel_format, time_base=rate
    )
    with VideoFileSource(clip) as source:
        count = len(list(source))
    if name != "a.y4m":  # something behind the end is no damage
        longer = tmp_path / f"longer{clip.suffix}"
        longer.write_bytes(clip.read_bytes() + b"appended " * 5)
        with VideoFileSource(longer) as source:
            assert len(list(source)) == count
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2 + 5])
    given: list[Frame] = []
    with (
        VideoFileSource(clip) as source,
        pytest.raises(SourceIncomplete, match=r"breaks off at|cut"),
    ):
        given.extend(source)
    assert count / 4 < len(given) < count


def test_a_damaged_place_is_skipped_and_reported(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mov", codec="png", pixel_format="rgb24", ticks=range(20))
    data = bytearray(clip.read_bytes())
    fifth = [n for n in range(len(data)) if data[n : n + 4] == b"\x89PNG"][5]
    data[fifth : fifth + 40] = bytes(40)
    clip.write_bytes(data)
    given: list[Frame] = []
    with (
        VideoFileSource(clip) as source,
        pytest.raises(SourceIncomplete, match=r"could not be read: 1, the first at 0\.\d\d s"),
    ):
        given.extend(source)
    assert [number_of(frame.image) for frame in given] == [n for n in range(20) if n != 5]
    assert [frame.index for frame in given] == list(range(19))


def test_size_that_changes_midway_is_fitted_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = [
        write_clip(
            tmp_path / f"{width}.mjpeg", codec="mjpeg", pixel_format="yuvj420p",
            file_format="mjpeg", size=(width, 48), ticks=range(3),
        )
        for width in (64, 128)
    ]  # fmt: skip
    whole = tmp_path / "whole.mjpeg"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    with VideoFileSource(whole) as source:
        frames = list(source)
    assert [frame.image.shape for frame in frames] == [(48, 64, 3)] * 6
    wide = frames[-1].image  # 128 x 48 in 64 x 48: 12 lines of bars above and below
    assert max(wide[:11].max(), wide[-11:].max()) < 5
    assert (wide[13:35].max(axis=(1, 2)) > 40).all()
    assert caplog.text.count("changes to 128x48 midway") == 1


def test_named_pipe_is_read(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv")
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "pipe")
    feeder = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(clip.read_bytes()))
    feeder.start()
    with VideoFileSource(tmp_path / "pipe") as source:
        assert len(list(source)) == 12
    feeder.join(timeout=5)


def test_a_stream_that_fails_yields_its_readable_part(tmp_path: Path) -> None:
    class Failing(Pipe):
        def read(self, size: int = -1) -> bytes:
            data = super().read(size)
            if not data:
                raise OSError(5, "Input/output error")
            return data

    clip = write_clip(tmp_path / "a.mkv", ticks=range(90), options={"crf": "1"}, size=(256, 192))
    given: list[Frame] = []
    with (
        pytest.raises(SourceIncomplete, match="Input/output error"),
        VideoFileSource(cast(BinaryIO, Failing(clip))) as source,
    ):
        given.extend(source)
    assert len(given) == 90


def test_close_does_not_wait_for_a_pipe_that_hangs(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", ticks=range(400), options={"crf": "1"})
    reading, writing = os.pipe()
    feeder = threading.Thread(target=lambda: os.write(writing, clip.read_bytes()))
    feeder.start()
    with os.fdopen(reading, "rb") as stream:
        source = VideoFileSource(stream)
        reader = threading.Thread(target=lambda: list(source))
        reader.start()
        time.sleep(0.3)
        start = time.monotonic()
        source.close()
        assert time.monotonic() - start < 3
        os.close(writing)
        for thread in (feeder, reader):
            thread.join(timeout=10)
            assert not thread.is_alive()


def test_first_frames_number_for_bad_times(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.avi", options=B_FRAMES)  # AVI stores no presentation times
    with VideoFileSource(clip) as source:
        frames = list(source)
    gaps = np.diff([frame.pts for frame in frames])
    assert gaps == pytest.approx(np.full(len(frames) - 1, 1 / 30))
    assert [number_of(frame.image) for frame in frames] == list(range(12))


def _exif(jpeg: bytes, orientation: int) -> bytes:
    tiff = (
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + bytes([0, orientation, 0, 0]) + bytes(4)
    )
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = numbered(3, 48, 32)
    stored = upright.transpose(1, 0, 2) if orientation > 4 else upright
    mirrored = {1: "", 2: "x", 3: "xy", 4: "y", 5: "", 6: "y", 7: "xy", 8: "x"}[orientation]
    stored = stored[:: -1 if "y" in mirrored else 1, :: -1 if "x" in mirrored else 1]
    jpeg = cv2.imencode(".jpg", np.ascontiguousarray(stored))[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(_exif(jpeg, orientation))
    with ImagesSource([tmp_path / "a.jpg"]) as source:
        frame = next(iter(source))
    assert frame.image.shape == upright.shape
    assert np.abs(frame.image.astype(int) - upright).mean() < 6


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_deep_grey_and_transparent_pictures_become_bgr(tmp_path: Path, suffix: str) -> None:
    image = numbered(5, 40, 32)
    deep = image.astype(np.uint16) * 257
    alpha = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (32, 1))
    stored: list[Any] = [deep, image[..., 0], image[..., 0].astype(np.uint16) * 257]
    stored += [np.dstack([image, alpha]), np.dstack([deep, alpha.astype(np.uint16) * 257])]
    paths = [tmp_path / f"{index}{suffix}" for index in range(len(stored))]
    for path, picture in zip(paths, stored, strict=True):
        cv2.imwrite(str(path), picture)
    with ImagesSource(paths) as source:
        frames = list(source)
        assert source.info.stills
    grey = np.dstack([image[..., 0]] * 3)
    for frame, expected in zip(frames, [image, grey, grey, image, image], strict=True):
        assert np.array_equal(frame.image, expected)
    assert [frame.alpha is not None for frame in frames] == [False, False, False, True, True]
    for frame in frames[3:]:
        assert frame.alpha is not None
        assert np.abs(frame.alpha * 255 - alpha).max() < 0.01
    assert [frame.pts for frame in frames] == [0, 1, 2, 3, 4]


def test_unreadable_photos_are_reported(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no picture to read"):
        ImagesSource([])
    with pytest.raises(SourceError, match=r"missing\.png cannot be read"):
        ImagesSource([tmp_path / "missing.png"])
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    with pytest.raises(SourceError, match=r"bad\.png is not a picture"):
        ImagesSource([tmp_path / "bad.png"])
