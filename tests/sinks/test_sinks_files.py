"""Writing video files and images, and the whole path from a file to a file."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from clips import SIZE, THIRTIETH, audio_packets, middles, number_of, numbered, patches, write_clip
from contracts import check_sink_aborts, check_sink_aborts_on_error, check_sink_completes
from hypothesis import given, settings
from hypothesis import strategies as st

from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Alpha, Colour, FieldOrder, Frame, Image, StreamInfo
from vidbg.sinks import Sink
from vidbg.sinks.encoding.formats import (
    CONTAINERS,
    PICTURE_SUFFIXES,
    Codec,
    Encoding,
    OutputKind,
    codec_for,
    output_kind,
)
from vidbg.sinks.files.images_sink import ImagesSink, numbered_pictures
from vidbg.sinks.files.partial_file import remove_left_behind
from vidbg.sinks.files.video_file_sink import VideoFileSink
from vidbg.sources.files.video_file_source import VideoFileSource
from vidbg.util.packets import PacketRelay

INFO = StreamInfo(*SIZE, frame_rate=Fraction(30), time_base=THIRTIETH)
LOSSLESS = Encoding(crf=0)
CLIPS = Path(__file__).resolve().parents[3] / "shared" / "clips"


def ramp(width: int = SIZE[0], height: int = SIZE[1]) -> Alpha:
    return np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))


def frames_at(times: Sequence[float], *, alpha: Alpha | None = None) -> list[Frame]:
    return [Frame(numbered(n, *SIZE), pts, n, alpha) for n, pts in enumerate(times)]


def read(path: Path) -> list[Frame]:
    with VideoFileSource(path) as source:
        return list(source)


FRAMES = frames_at([n / 30 for n in range(6)], alpha=ramp())

MEMBERS: dict[str, Callable[[Path], Sink]] = {
    "mp4": lambda folder: VideoFileSink(folder / "a.mp4", INFO),
    "mkv": lambda folder: VideoFileSink(folder / "a.mkv", INFO),
    "ProRes": lambda folder: VideoFileSink(folder / "a.mov", INFO, content="transparent"),
    "VP9": lambda folder: VideoFileSink(folder / "a.webm", INFO, content="transparent"),
    "mask": lambda folder: VideoFileSink(folder / "a.mp4", INFO, content="mask"),
    "folder": lambda folder: ImagesSink(folder / "pictures", alpha=True),
    "sequence": lambda folder: ImagesSink(folder / "%04d.jpg"),
}


@pytest.fixture(params=MEMBERS)
def open_sink(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Sink]:
    return lambda: MEMBERS[request.param](tmp_path)


def test_sink_completes(open_sink: Callable[[], Sink], tmp_path: Path) -> None:
    check_sink_completes(open_sink, FRAMES)
    names = [path.name for path in tmp_path.rglob("*")]
    assert len(names) >= 1
    assert not [name for name in names if name.startswith(".")]


def test_sink_aborts(open_sink: Callable[[], Sink], tmp_path: Path) -> None:
    check_sink_aborts(open_sink, FRAMES)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".mp4", ".mov", ".webm")]


def test_sink_aborts_on_error(open_sink: Callable[[], Sink], tmp_path: Path) -> None:
    check_sink_aborts_on_error(open_sink, FRAMES)
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


# --- which file for which name ---


@pytest.mark.parametrize(
    ("name", "alpha", "kind"),
    [
        ("a.mp4", False, OutputKind.H264),
        ("a.MKV", False, OutputKind.H264),
        ("a.m4v", False, OutputKind.H264),
        ("a.mov", False, OutputKind.H264),
        ("a.mov", True, OutputKind.PRORES_4444),
        ("a.webm", False, OutputKind.VP9),
        ("a.webm", True, OutputKind.VP9),
        ("a.png", True, OutputKind.PICTURES),
        ("a%05d.webp", True, OutputKind.PICTURES),
        ("a.jpg", False, OutputKind.PICTURES),
        ("frames/", True, OutputKind.PICTURES),
        ("frames", False, OutputKind.PICTURES),
    ],
)
def test_the_name_says_the_kind(name: str, alpha: bool, kind: OutputKind) -> None:
    assert output_kind(name, alpha=alpha) is kind


@pytest.mark.parametrize(
    ("name", "alpha", "hint"),
    [
        ("a.mp4", True, r"allowed are \.mov .*\.webm"),
        ("a.mkv", True, r"allowed are \.mov .*\.webm"),
        ("a.jpg", True, r"allowed are \.png"),
        ("a.avi", False, r"unknown suffix '\.avi'; allowed are \.mp4"),
    ],
)
def test_names_that_cannot_be_are_refused(name: str, alpha: bool, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        output_kind(name, alpha=alpha)


@given(st.sampled_from([*CONTAINERS, *PICTURE_SUFFIXES, ".gif", ".txt", ""]), st.booleans())
def test_every_name_has_a_kind_or_a_reason(suffix: str, alpha: bool) -> None:
    try:
        assert isinstance(output_kind(f"name{suffix}", alpha=alpha), OutputKind)
    except ConfigError as error:
        assert "allowed are" in str(error)


def test_encoding_is_checked_and_passed_on() -> None:
    assert codec_for(OutputKind.H264, Encoding(crf=23, preset="slow", threads=3)) == Codec(
        "libx264", {"crf": "23", "preset": "slow"}, 3
    )
    for kind, bad in [
        (OutputKind.H264, Encoding(crf=52)),
        (OutputKind.VP9, Encoding(crf=-1)),
        (OutputKind.PRORES_4444, Encoding(crf=18)),
        (OutputKind.VP9, Encoding(preset="slow")),
        (OutputKind.H264, Encoding(threads=-1)),
    ]:
        with pytest.raises(ConfigError):
            codec_for(kind, bad)
    with pytest.raises(ConfigError, match=r"unknown preset 'slo'; did you mean 'slow'\?"):
        Encoding(preset="slo")  # type: ignore[arg-type]


# --- times ---


def written_times(path: Path, times: Sequence[float], info: StreamInfo) -> list[float]:
    with VideoFileSink(path, info, overwrite=True) as sink:
        for frame in frames_at(times):
            sink.write(frame)
    with av.open(str(path)) as container:
        return [float(frame.time or 0) for frame in container.decode(video=0)]


@given(
    gaps=st.lists(st.integers(1, 4000), min_size=1, max_size=12),
    first=st.integers(0, 90_000),
    time_base=st.sampled_from(
        [Fraction(1, 30), Fraction(1001, 30000), Fraction(1, 15360), Fraction(1, 90_000)]
    ),
)
@settings(max_examples=25)
def test_mp4_keeps_every_time(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[int], first: int, time_base: Fraction
) -> None:
    ticks = [first, *(first + gap for gap in accumulate(gaps))]
    times = [float(tick * time_base) for tick in ticks]
    info = StreamInfo(*SIZE, frame_rate=Fraction(30), time_base=time_base)
    path = tmp_path_factory.mktemp("times") / "a.mp4"
    assert written_times(path, times, info) == pytest.approx(times, abs=1e-9)


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_matroska_keeps_times_to_the_millisecond(tmp_path: Path, suffix: str) -> None:
    times = [0.5 + n * 1001 / 30000 for n in range(9)]
    info = StreamInfo(*SIZE, frame_rate=Fraction(30000, 1001), time_base=Fraction(1, 30000))
    assert written_times(tmp_path / f"a{suffix}", times, info) == pytest.approx(times, abs=0.00051)


def test_times_of_a_clock_start_at_zero(tmp_path: Path) -> None:
    times = [81234.5, 81234.53, 81234.61]
    info = StreamInfo(*SIZE, frame_rate=Fraction(30))
    written = written_times(tmp_path / "a.mp4", times, info)
    assert written == pytest.approx([0, 0.03, 0.11], abs=1e-5)


def test_times_that_do_not_grow_and_other_sizes_are_refused(tmp_path: Path) -> None:
    sink = VideoFileSink(tmp_path / "a.mp4", INFO)
    sink.write(FRAMES[1])
    with pytest.raises(SinkError, match="times must increase"):
        sink.write(FRAMES[0])
    sink = VideoFileSink(tmp_path / "a.mp4", INFO)
    with pytest.raises(SinkError, match=r"unexpected frame shape \(10, 20, 3\)"):
        sink.write(Frame(np.zeros((10, 20, 3), np.uint8), 0.0, 0))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize("last_s", [None, 3.0])
def test_the_last_frame_lasts_as_long_as_it_should(
    tmp_path: Path, suffix: str, last_s: float | None
) -> None:
    path = tmp_path / f"a{suffix}"
    with VideoFileSink(path, INFO) as sink:
        for frame in frames_at([n / 30 for n in range(40)]):
            sink.write(replace(frame, duration_s=last_s if frame.index == 39 else None))
    lasts = last_s or 1 / 30
    with av.open(str(path)) as container:
        assert (container.duration or 0) / av.time_base == pytest.approx(39 / 30 + lasts, abs=0.01)
    with VideoFileSource(path) as source:
        frames = list(source)
    assert [frame.pts for frame in frames] == pytest.approx([n / 30 for n in range(40)], abs=1e-3)
    if suffix in (".mp4", ".mov"):
        assert frames[-1].duration_s == pytest.approx(lasts, abs=1e-3)


# --- pixels ---


COLOURS = [
    Colour(1, 1, 1),
    Colour(1, 1, 1, full_range=True),
    Colour(5, 5, 6),
    Colour(6, 6, 6, full_range=True),
    Colour(9, 1, 14),  # wide primaries would be mapped on reading
    Colour(),
]


def through(path: Path, image: Image, info: StreamInfo, encoding: Encoding | None) -> list[Frame]:
    with VideoFileSink(path, info, encoding=encoding) as sink:
        for index in range(3):
            sink.write(Frame(image, index / 30, index))
    return read(path)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_colours_come_through(tmp_path: Path, colour: Colour, suffix: str) -> None:
    image = patches(240, 144)
    info = StreamInfo(240, 144, Fraction(30), THIRTIETH, colour=colour)
    path = tmp_path / f"a{suffix}"
    frame = through(path, image, info, LOSSLESS)[1]
    error = middles(frame.image).astype(int) - middles(image)
    assert np.abs(error).max() <= 2  # rounding to 8-bit YUV costs one, and one back
    assert abs(error.mean()) < 0.6
    with VideoFileSource(path) as source:
        assert source.info.colour == colour


def test_unspecified_colour_is_written_for_its_own_height(tmp_path: Path) -> None:
    image = patches(130, 719)
    info = StreamInfo(130, 719, Fraction(30), THIRTIETH)
    frame = through(tmp_path / "a.mp4", image, info, LOSSLESS)[1]
    assert frame.image.shape[:2] == (720, 130)  # BT.709 begins here
    assert np.abs(middles(frame.image[:719]).astype(int) - middles(image)).max() <= 2


def test_prores_keeps_colour_and_alpha(tmp_path: Path) -> None:
    image, alpha = patches(240, 144), ramp(240, 144)
    info = StreamInfo(240, 144, Fraction(30), THIRTIETH, colour=Colour(1, 1, 1))
    with VideoFileSink(tmp_path / "a.mov", info, content="transparent") as sink:
        for index in range(3):
            sink.write(Frame(image, index / 30, index, alpha))
    frames = read(tmp_path / "a.mov")
    assert [frame.pts for frame in frames] == pytest.approx([0, 1 / 30, 2 / 30])
    assert np.abs(middles(frames[1].image).astype(int) - middles(image)).max() <= 2
    _check_alpha(frames[1].alpha, alpha, worst=1.5 / 255)
    with av.open(str(tmp_path / "a.mov")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("prores", "yuva444p12le")


def test_vp9_keeps_alpha(tmp_path: Path) -> None:
    image, alpha = patches(240, 144), ramp(240, 144)
    info = StreamInfo(240, 144, Fraction(30), THIRTIETH)
    with VideoFileSink(
        tmp_path / "a.webm", info, content="transparent", encoding=Encoding(crf=4)
    ) as sink:
        for index in range(3):
            sink.write(Frame(image, index / 30, index, alpha))
    with av.open(str(tmp_path / "a.webm")) as container:
        assert container.streams.video[0].metadata.get("alpha_mode") == "1"
        packets = [packet for packet in container.demux(video=0) if packet.size]
    decoder = av.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own decoder drops the alpha
    decoded = [frame for packet in packets for frame in decoder.decode(packet)]
    plane = decoded[1].planes[3]
    stored = np.frombuffer(memoryview(plane), np.uint8).reshape(144, -1)[:, :240]
    result: Alpha = stored.astype(np.float32)
    _check_alpha(result / np.float32(255), alpha, worst=8 / 255)  # VP9 is lossy there, too


def _check_alpha(alpha: Alpha | None, expected: Alpha, worst: float) -> None:
    assert alpha is not None
    assert np.abs(alpha - expected).max() <= worst
    assert alpha[:, 0].max() <= worst
    assert alpha[:, -1].min() >= 1 - worst


@pytest.mark.parametrize("colour", [Colour(1, 1, 1), Colour(5, 5, 6, full_range=True), Colour()])
def test_mask_is_grey_with_the_same_times(tmp_path: Path, colour: Colour) -> None:
    info = StreamInfo(*SIZE, frame_rate=Fraction(30), time_base=THIRTIETH, colour=colour)
    with VideoFileSink(tmp_path / "a.mp4", info, content="mask", encoding=LOSSLESS) as sink:
        for frame in FRAMES:
            sink.write(frame)
    frames = read(tmp_path / "a.mp4")
    assert [frame.pts for frame in frames] == pytest.approx([frame.pts for frame in FRAMES])
    blue, green, red = (frames[2].image[..., c].astype(int) for c in range(3))
    assert max(np.abs(blue - green).max(), np.abs(red - green).max()) <= 1
    assert np.abs(green - ramp() * 255).max() <= 1.5  # 220 levels, and rounding to read them
    assert (green[:, 0] == 0).all()
    assert (green[:, -1] == 255).all()


def test_frames_without_alpha_are_opaque(tmp_path: Path) -> None:
    with VideoFileSink(tmp_path / "a.mp4", INFO, content="mask", encoding=LOSSLESS) as sink:
        sink.write(Frame(numbered(0, *SIZE), 0.0, 0))
    assert read(tmp_path / "a.mp4")[0].image.min() == 255


def test_odd_sides_grow_by_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    info = StreamInfo(65, 47, Fraction(30), THIRTIETH)
    image = numbered(4, 65, 47)
    with caplog.at_level(logging.INFO):
        frame = through(tmp_path / "a.mp4", image, info, LOSSLESS)[0]
    assert frame.image.shape == (48, 66, 3)
    assert np.median(np.abs(frame.image[:47, :65].astype(int) - image)) <= 1
    assert np.abs(frame.image[47].astype(int) - frame.image[46]).max() <= 3
    assert "66x48" in caplog.text
    assert through(tmp_path / "a.webm", image, info, None)[0].image.shape == (47, 65, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_pixel_aspect_ratio_is_written(tmp_path: Path, suffix: str) -> None:
    info = StreamInfo(*SIZE, Fraction(30), THIRTIETH, sample_aspect_ratio=Fraction(4, 3))
    through(tmp_path / f"a{suffix}", numbered(0, *SIZE), info, None)
    with VideoFileSource(tmp_path / f"a{suffix}") as source:
        assert source.info.sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(3, 4)])
def test_webm_has_square_pixels(tmp_path: Path, aspect: Fraction) -> None:
    info = StreamInfo(120, 96, Fraction(30), THIRTIETH, sample_aspect_ratio=aspect)
    image, alpha = numbered(0, 120, 96), ramp(120, 96)
    with VideoFileSink(tmp_path / "a.webm", info, content="transparent") as sink:
        sink.write(Frame(image, 0.0, 0, alpha))
    frame = read(tmp_path / "a.webm")[0]
    assert frame.image.shape[1::-1] == ((160, 96) if aspect > 1 else (120, 128))
    assert number_of(frame.image) == 0


@pytest.mark.parametrize(("name", "content"), [("a.mp4", "opaque"), ("a.mov", "transparent")])
@pytest.mark.parametrize("order", ["top", "bottom"])
def test_interlaced_frames_are_marked(
    tmp_path: Path, name: str, content: Any, order: FieldOrder
) -> None:
    info = replace(INFO, field_order=order)
    with VideoFileSink(tmp_path / name, info, content=content) as sink:
        for frame in frames_at([n / 30 for n in range(12)], alpha=ramp()):
            sink.write(frame)
    with VideoFileSource(tmp_path / name, interlaced="keep") as source:
        frames = list(source)
        assert source.info.field_order == order
    assert [frame.pts for frame in frames] == pytest.approx([n / 30 for n in range(12)])
    assert [number_of(frame.image) for frame in frames] == list(range(12))


def test_index_of_mp4_is_in_front(tmp_path: Path) -> None:
    written_times(tmp_path / "a.mp4", [0, 1 / 30], INFO)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


# --- copied streams ---


def copy(source_path: Path, path: Path) -> None:
    with (
        VideoFileSource(source_path) as source,
        VideoFileSink(path, source.info, relay=source.relay) as sink,
    ):
        for frame in source:
            sink.write(frame)


@pytest.mark.parametrize(
    ("codec", "source_name", "name"),
    [
        ("aac", "in.mp4", "out.mp4"),
        ("aac", "in.mkv", "out.mov"),
        ("aac", "in.mp4", "out.mkv"),
        ("libopus", "in.mkv", "out.mp4"),
        ("libopus", "in.mp4", "out.webm"),
        ("pcm_s16le", "in.mkv", "out.mp4"),
        ("alac", "in.mkv", "out.mp4"),
        ("libmp3lame", "in.ts", "out.mp4"),
    ],
)
def test_sound_is_copied_packet_for_packet(
    tmp_path: Path, codec: str, source_name: str, name: str
) -> None:
    clip = write_clip(tmp_path / source_name, ticks=range(30), audio=codec)
    copy(clip, tmp_path / name)
    before, after = audio_packets(clip), audio_packets(tmp_path / name)
    assert [digest for digest, _ in after] == [digest for digest, _ in before]
    assert _lead(after, tmp_path / name) == pytest.approx(_lead(before, clip), abs=0.0016)


def _lead(packets: list[tuple[str, float]], path: Path) -> list[float]:
    """How far the sound's packets are from the first picture, in seconds."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
    return [pts - float(first.time) for _, pts in packets]


def test_sound_in_transport_streams_loses_its_headers_only(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.ts", ticks=range(30), audio="aac")
    copy(clip, tmp_path / "out.mp4")
    sounds = []
    for path in (clip, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            sounds.append([f.to_ndarray() for f in container.decode(audio=0)])
    assert len(sounds[0]) == len(sounds[1])
    assert np.array_equal(np.concatenate(sounds[0], 1), np.concatenate(sounds[1], 1))


@pytest.mark.parametrize("late", [False, True])
def test_packets_may_come_early_or_late(tmp_path: Path, late: bool) -> None:
    clip = write_clip(tmp_path / "in.mp4", ticks=range(30), audio="aac")
    with VideoFileSource(clip) as source:
        frames = list(source)
        assert source.relay is not None
        relay = PacketRelay(source.relay.streams)
        sink = VideoFileSink(tmp_path / "out.mp4", source.info, relay=relay)
        packets = list(iter(source.relay.pop, None))
        for pile in (frames, packets) if late else (packets, frames):
            for item in pile:
                sink.write(item) if isinstance(item, Frame) else relay.push(item)
        sink.close()
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(clip)
    assert len(read(tmp_path / "out.mp4")) == 30


def test_source_may_be_closed_first(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "in.mp4", ticks=range(30), audio="aac")
    with VideoFileSource(clip) as source:
        sink = VideoFileSink(tmp_path / "out.mp4", source.info, relay=source.relay)
        frames = list(source)
    for frame in frames:
        sink.write(frame)
    sink.close()
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(clip)


@pytest.mark.parametrize(
    ("codec", "name", "becomes"),
    [
        ("aac", "out.webm", "opus"),
        ("libopus", "out.mov", "aac"),
        ("wmav2", "out.mp4", "aac"),
        ("pcm_s24le", "out.mp4", "aac"),
        ("pcm_f32le", "out.m4v", "aac"),
        ("pcm_u8", "out.webm", "opus"),
        ("adpcm_swf", "out.mkv", "flac"),
    ],
)
def test_sound_that_does_not_fit_is_encoded_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, codec: str, name: str, becomes: str
) -> None:
    suffix = ".avi" if codec in ("wmav2", "adpcm_swf", "pcm_u8") else ".mkv"
    clip = _with_sound(tmp_path / f"in{suffix}", codec)
    copy(clip, tmp_path / name)
    assert f"audio stream 1 ({codec.removeprefix('lib')}, und) becomes" in caplog.text
    assert len(read(tmp_path / name)) == 45
    before, after = _onset_s(clip), _onset_s(tmp_path / name)
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == becomes
    assert after == pytest.approx(before, abs=0.03)


def _with_sound(path: Path, codec: str) -> Path:
    """Half a second of silence, then a second of a tone, in mono at 44.1 kHz."""
    tone = (np.sin(np.arange(44100) / 15) * 9000).astype(np.int16)
    wave = np.concatenate([np.zeros(22050, np.int16), tone])[None]
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=30)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        sound: Any = container.add_stream(codec, rate=48000 if "opus" in codec else 44100)
        sound.layout, sound.bit_rate = "mono", 96_000
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
        sounds: list[Any] = [*sound.encode(frame), *sound.encode(None)]
        for index in range(45):
            picture = av.VideoFrame.from_ndarray(numbered(index, *SIZE), format="bgr24")
            container.mux(video.encode(picture))
            while sounds and (sounds[0].pts or 0) * sounds[0].time_base <= index / 30:
                container.mux(sounds.pop(0))
        container.mux(video.encode(None))
        container.mux(sounds)
    return path


def _onset_s(path: Path) -> float:
    """When the tone begins, after the first picture."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).time or 0
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("flt", "mono")
        parts = [p for f in container.decode(audio=0) for p in resampler.resample(f)]
    start = float((parts[0].pts or 0) * (parts[0].time_base or 0))
    samples = np.concatenate([part.to_ndarray()[0] for part in parts])
    loud = int(np.flatnonzero(np.abs(samples) > 0.1)[0])
    return start + loud / parts[0].sample_rate - float(first)


def test_pcm_of_16_bits_stays_as_it_is_in_mp4(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = _with_sound(tmp_path / "in.mkv", "pcm_s16le")
    copy(clip, tmp_path / "out.mp4")
    assert not caplog.text
    sounds = []
    for path in (clip, tmp_path / "out.mp4"):
        with av.open(str(path)) as container:
            sounds.append(b"".join(bytes(packet) for packet in container.demux(audio=0)))
    assert sounds[0] == sounds[1]


def test_subtitles_are_copied_where_they_fit(tmp_path: Path) -> None:
    clip = _with_subtitles(tmp_path / "in.mkv")
    copy(clip, tmp_path / "out.mkv")
    assert _lines(tmp_path / "out.mkv") == [(b"one", 0.1, 0.15), (b"two", 0.3, 0.05)]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
def test_text_is_converted_there_and_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    clip = _with_subtitles(tmp_path / "in.mkv")
    copy(clip, tmp_path / f"mid{suffix}")
    copy(tmp_path / f"mid{suffix}", tmp_path / "out.mkv")
    lines = [line for line in _lines(tmp_path / "out.mkv") if line[0].strip()]
    assert [text.strip() for text, _, _ in lines] == [b"one", b"two"]
    assert [start for _, start, _ in lines] == pytest.approx([0.1, 0.3], abs=0.03)
    assert [length for _, _, length in lines] == pytest.approx([0.15, 0.05], abs=0.01)
    assert "subtitle stream 1 (subrip, und) becomes" in caplog.text
    assert "left out" not in caplog.text


def _lines(path: Path) -> list[tuple[bytes, float, float]]:
    """(text, start, length) of the first subtitle stream."""
    with av.open(str(path)) as container:
        return [
            (bytes(p), float(p.pts * p.time_base), float((p.duration or 0) * p.time_base))
            for p in container.demux(subtitles=0)
            if p.size and p.pts is not None
        ]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_title_date_and_chapters_are_kept(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    unit = Fraction(1, 1000)
    relay = PacketRelay(
        [],
        tags={"title": "Talk", "creation_time": "2023-05-01T10:00:00.000000Z"},
        video_tags={"language": "fra"},
        chapters=[
            {"id": n, "start": 100 * n, "end": 100 * n + 100, "time_base": unit,
             "metadata": {"title": f"Part {n}"}}
            for n in range(2)
        ],
    )  # fmt: skip
    with VideoFileSink(tmp_path / f"a{suffix}", INFO, relay=relay) as sink:
        for frame in FRAMES:
            sink.write(frame)
    with VideoFileSource(tmp_path / f"a{suffix}") as source:
        assert source.relay is not None
        assert source.relay.tags["title"] == "Talk"
        assert source.relay.tags["creation_time"].startswith("2023-05-01T10:00:00")
        assert source.relay.video_tags["language"] == "fra"
        chapters = source.relay.chapters
        assert len(list(source)) == len(FRAMES)
    starts = [float(chapter["start"] * chapter["time_base"]) for chapter in chapters]
    assert starts == pytest.approx([0, 0.1])
    assert [chapter["metadata"]["title"] for chapter in chapters] == ["Part 0", "Part 1"]
    assert not caplog.text  # the track that MP4 keeps chapters in is no loss


def _with_subtitles(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        words = container.add_mux_stream("subrip")
        for text, start, duration in [(b"one", 100, 150), (b"two", 300, 50)]:
            packet = av.Packet(text)
            packet.stream, packet.time_base = words, Fraction(1, 1000)
            packet.pts = packet.dts = start
            packet.duration = duration
            container.mux(packet)
        for index in range(12):
            picture = av.VideoFrame.from_ndarray(numbered(index, *SIZE), format="bgr24")
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm"])
def test_attached_fonts_are_kept_where_they_fit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        container.add_attachment("a.ttf", "font/ttf", b"the font's bytes")
        picture = av.VideoFrame.from_ndarray(numbered(0, *SIZE), format="bgr24")
        container.mux([*stream.encode(picture), *stream.encode(None)])
    copy(tmp_path / "in.mkv", tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        files: Any = [s for s in container.streams if s.type == "attachment"]
        kept = [(file.name, file.mimetype, bytes(file.data)) for file in files]
    assert kept == ([("a.ttf", "font/ttf", b"the font's bytes")] if suffix == ".mkv" else [])
    assert ("cannot hold attached files, which are left out: a.ttf" in caplog.text) != bool(kept)


@pytest.mark.parametrize(
    ("suffix", "language", "kept"),
    [
        (".mp4", "fra", "fra"),
        (".mkv", "deu", "deu"),
        (".mov", "eng", "eng"),
        (".mov", "deu", "ger"),
        (".mov", "fre", "fra"),
        (".mov", "swe", "sve"),
        (".mov", "zho", "chi"),
    ],
)
def test_language_is_kept(tmp_path: Path, suffix: str, language: str, kept: str) -> None:
    clip = write_clip(tmp_path / "in.mp4", audio="aac", ticks=range(3))
    with VideoFileSource(clip) as source:
        assert source.relay is not None
        source.relay.streams[0].metadata["language"] = language
        source.relay.video_tags["language"] = language
        with VideoFileSink(tmp_path / f"out{suffix}", source.info, relay=source.relay) as sink:
            for frame in source:
                sink.write(frame)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.audio[0].language == kept
        assert container.streams.video[0].language == kept


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_sound_without_times_follows_itself(tmp_path: Path, suffix: str) -> None:
    """As the packets of a transport stream that breaks off, in which only the first has a time."""
    with VideoFileSource(write_clip(tmp_path / "in.ts", audio="aac")) as source:
        relay = source.relay
        assert relay is not None
        with VideoFileSink(tmp_path / f"out{suffix}", source.info, relay=relay) as sink:
            for frame in source:
                packets = [*iter(relay.pop, None)]
                for packet in packets:
                    packet.pts = packet.dts = None
                    packet.duration = 0
                    relay.push(packet)
                sink.write(frame)
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        (sound,) = container.streams.audio
        times = [float(p.pts * p.time_base) for p in container.demux(sound) if p.pts is not None]
    steps = np.diff(times)
    assert len(steps) > 10
    assert np.median(steps) == pytest.approx(1024 / sound.sample_rate, abs=0.001)
    assert steps.min() > 0


# --- files ---


def test_file_appears_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    sink = VideoFileSink(path, INFO)
    for frame in FRAMES:
        sink.write(frame)
    hidden = [entry.name for entry in tmp_path.iterdir()]
    assert len(hidden) == 1
    assert hidden[0].startswith(".a.")
    assert hidden[0].endswith(".partial.mp4")
    sink.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]
    assert len(read(path)) == len(FRAMES)


def test_existing_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"precious")
    with pytest.raises(SinkError, match="exists"):
        VideoFileSink(path, INFO)
    with VideoFileSink(path, INFO, overwrite=True) as sink:
        sink.write(FRAMES[0])
        assert path.read_bytes() == b"precious"
        sink.abort()
    assert path.read_bytes() == b"precious"
    with VideoFileSink(path, INFO, overwrite=True) as sink:
        sink.write(FRAMES[0])
    assert len(read(path)) == 1


@pytest.mark.parametrize("exists", [False, True])
def test_a_link_is_written_through(tmp_path: Path, exists: bool) -> None:
    (tmp_path / "disk").mkdir()
    there, link = tmp_path / "disk" / "a.mp4", tmp_path / "b.mp4"
    if exists:
        there.write_bytes(b"old")
    link.symlink_to(there)
    with VideoFileSink(link, INFO, overwrite=exists) as sink:
        sink.write(FRAMES[0])
    assert link.is_symlink()
    assert len(read(there)) == 1
    assert [path.name for path in tmp_path.rglob("*.*")] == ["b.mp4", "a.mp4"]


def test_a_file_created_meanwhile_is_left_alone(tmp_path: Path) -> None:
    sink = VideoFileSink(tmp_path / "a.mp4", INFO)
    sink.write(FRAMES[0])
    (tmp_path / "a.mp4").write_bytes(b"precious")
    with pytest.raises(SinkError, match=r"left alone.*a\.[0-9a-f]{8}\.mp4"):
        sink.close()
    assert (tmp_path / "a.mp4").read_bytes() == b"precious"
    remove_left_behind(tmp_path)  # the next run
    (other,) = [path for path in tmp_path.iterdir() if path.name != "a.mp4"]
    assert len(read(other)) == 1


def test_places_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"there is no folder .*missing"):
        VideoFileSink(tmp_path / "missing" / "a.mp4", INFO)
    (tmp_path / "b.mp4").mkdir()
    with pytest.raises((SinkError, ConfigError), match=r"b\.mp4"):
        VideoFileSink(tmp_path / "b.mp4", INFO)
    with pytest.raises(ConfigError, match="is not a video file"):
        VideoFileSink(tmp_path / "a.png", INFO)
    with (
        pytest.raises(SinkError, match="no frames arrived"),
        VideoFileSink(tmp_path / "c.mp4", INFO),
    ):
        pass
    assert not list(tmp_path.glob("*.mp4/*"))
    assert not list(tmp_path.glob(".*"))


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 64 KiB."""
    resource = pytest.importorskip("resource", reason="Windows knows no such limit")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_reported_and_the_partial_file_removed(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    info = StreamInfo(320, 240, Fraction(30), THIRTIETH)
    with (
        pytest.raises(SinkError, match=f"{name} cannot be .*is the disk full"),
        VideoFileSink(tmp_path / name, info, encoding=LOSSLESS) as sink,
    ):
        for index in range(60):
            sink.write(Frame(np.roll(noise, index, 0), index / 30, index))
    assert not list(tmp_path.iterdir())


def test_other_faults_are_not_reported_as_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise av.ArgumentError(22, "Invalid argument")

    sink = VideoFileSink(tmp_path / "a.mp4", INFO)
    monkeypatch.setattr(sink, "_mux", refused)
    with pytest.raises(SinkError, match="Invalid argument") as caught:
        for frame in FRAMES:
            sink.write(frame)
    assert "the disk full" not in str(caught.value)
    assert not list(tmp_path.iterdir())


# --- pictures ---


@pytest.mark.parametrize(("suffix", "exact"), [(".png", True), (".webp", True), (".jpg", False)])
def test_folder_of_pictures(tmp_path: Path, suffix: str, exact: bool) -> None:
    with ImagesSink(tmp_path / "out", suffix=suffix, alpha=exact) as sink:
        for frame in FRAMES[:2]:
            sink.write(frame)
    paths = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in paths] == [f"00000{suffix}", f"00001{suffix}"]
    stored = cv2.imread(str(paths[1]), cv2.IMREAD_UNCHANGED)
    assert stored is not None
    if exact:
        observed = stored[..., 3] > 0  # WebP may drop the colour of what nobody sees
        assert np.array_equal(stored[observed][:, :3], FRAMES[1].image[observed])
        assert np.abs(stored[..., 3] - ramp() * 255).max() <= 0.5
    else:
        assert np.abs(stored.astype(int) - FRAMES[1].image).mean() < 8


def test_pictures_keep_given_names(tmp_path: Path) -> None:
    with ImagesSink(tmp_path, names=["anna", "ben"], suffix=".jpg") as sink:
        for frame in FRAMES[:2]:
            sink.write(frame)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["anna.jpg", "ben.jpg"]


def test_a_shorter_sequence_removes_frames_of_an_older_one(tmp_path: Path) -> None:
    kept = ["a1000x.png", "a12.png", "b007.png", "notes.txt"]
    for name in [*(f"a{number:03d}.png" for number in range(2000) if number % 100 < 9), *kept]:
        (tmp_path / name).write_bytes(b"old")
    with ImagesSink(tmp_path / "a%03d.png", overwrite=True) as sink:
        for index in range(3):
            sink.write(FRAMES[index])
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a000.png", "a001.png", "a002.png", *kept}
    (tmp_path / "a003.png").write_bytes(b"old")
    with pytest.raises(RuntimeError), ImagesSink(tmp_path / "a%03d.png", overwrite=True) as sink:
        sink.write(FRAMES[0])
        raise RuntimeError  # a run that failed has not replaced the older one
    assert (tmp_path / "a003.png").exists()


@pytest.mark.parametrize(
    ("target", "numbers"),
    [
        ("f%03d.png", [1, 10, 1000]),
        ("f%d.png", [7, 1000]),
        ("100%%%03d.png", [2]),
        ("100%.png", []),
        ("%s.png", []),
        ("missing/f%d.png", []),
    ],
)
def test_numbered_pictures_are_found(target: str, numbers: list[int], tmp_path: Path) -> None:
    for name in ("f001.png", "f010.png", "f1000.png", "f7.png", "g001.png", "100%002.png"):
        (tmp_path / name).touch()
    assert list(numbered_pictures(tmp_path / target)) == numbers


def test_sequence_counts_by_index(tmp_path: Path) -> None:
    with ImagesSink(tmp_path / "a%03d.png") as sink:
        sink.write(FRAMES[5])
    stored = cv2.imread(str(tmp_path / "a005.png"), cv2.IMREAD_UNCHANGED)
    assert stored is not None
    assert np.array_equal(stored, FRAMES[5].image)


def test_one_picture_takes_one_frame(tmp_path: Path) -> None:
    with ImagesSink(tmp_path / "a.png") as sink:
        sink.write(FRAMES[0])
        with pytest.raises(SinkError, match=r"a%05d\.png"):
            sink.write(FRAMES[1])
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(("suffix", "side"), [(".webp", 16_383), (".jpg", 65_500)])
def test_pictures_wider_than_their_format_are_refused(
    tmp_path: Path, suffix: str, side: int
) -> None:
    with ImagesSink(tmp_path / f"a{suffix}") as sink:
        with pytest.raises(SinkError, match=rf"{side} per side: give a name that ends in \.png"):
            sink.write(Frame(np.zeros((8, side + 1, 3), np.uint8), 0.0, 0))
        assert list(tmp_path.iterdir()) == []
        sink.write(Frame(np.zeros((8, side, 3), np.uint8), 0.0, 0))
    with ImagesSink(tmp_path / "b.png") as sink:
        sink.write(Frame(np.zeros((8, 70_000, 3), np.uint8), 0.0, 0))


def test_pictures_that_cannot_be_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"precious")
    with pytest.raises(SinkError, match="exists"):
        ImagesSink(tmp_path / "a.png")
    for target, settings_ in [
        (tmp_path / "a.jpg", {"alpha": True}),
        (tmp_path / "out", {"suffix": ".jpg", "alpha": True}),
        (tmp_path / "out", {"suffix": ".gif"}),
        (tmp_path / "a.mp4", {}),
        (tmp_path / "a%s-%d.png", {}),
        (tmp_path / "100%.png", {}),
        (tmp_path / "b.png", {"quality": 0}),
    ]:
        with pytest.raises(ConfigError):
            ImagesSink(target, **settings_)  # type: ignore[arg-type]
    with pytest.raises(SinkError, match="cannot be created"):
        ImagesSink(tmp_path / "missing" / "out")
    assert (tmp_path / "a.png").read_bytes() == b"precious"


# --- real files ---


@pytest.mark.data
@pytest.mark.parametrize("clip", sorted(CLIPS.glob("*")) or [None], ids=lambda c: c and c.stem)
def test_real_clips_come_through(clip: Path | None, tmp_path: Path) -> None:
    if clip is None:
        pytest.skip(f"there are no clips in {CLIPS}")
    fast = Encoding(crf=20, preset="ultrafast")
    with (
        VideoFileSource(clip) as source,
        VideoFileSink(tmp_path / "a.mp4", source.info, encoding=fast, relay=source.relay) as sink,
    ):
        before = list(islice(source, 60))
        for frame in before:
            sink.write(frame)
    after = read(tmp_path / "a.mp4")
    assert [frame.pts for frame in after] == pytest.approx([frame.pts for frame in before])
    copied, stored = audio_packets(tmp_path / "a.mp4"), audio_packets(clip)
    assert bool(copied) == bool(stored)
    assert [digest for digest, _ in copied] == [digest for digest, _ in stored[: len(copied)]]
    assert [pts for _, pts in copied] == pytest.approx([t for _, t in stored[: len(copied)]])
    for one, other in list(zip(before, after, strict=True))[::20]:
        error = other.image.astype(int) - one.image
        assert np.sqrt((error**2).mean()) < 4
        assert abs(error.mean()) < 0.5


@pytest.mark.data
@pytest.mark.parametrize("clip", sorted(CLIPS.glob("*")) or [None], ids=lambda c: c and c.stem)
def test_real_clips_are_read_to_the_end(clip: Path | None) -> None:
    if clip is None:
        pytest.skip(f"there are no clips in {CLIPS}")
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.pts is not None]
    stored = sorted(float((p.pts or 0) * p.time_base) for p in packets)
    with VideoFileSource(clip, copy_streams=False) as source:
        assert [frame.pts for frame in source] == pytest.approx(stored)
        assert source.info.frame_count == len(stored)


def test_numbers_are_read_back() -> None:
    assert [number_of(numbered(n, *SIZE)) for n in range(24)] == list(range(24))
