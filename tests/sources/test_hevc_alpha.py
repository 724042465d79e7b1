"""HEVC with a layer for alpha, as x265 and Apple's programs write it: made of two streams here."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import SIZE, number_of, numbered, write_clip

from vidbg.errors import SourceIncomplete
from vidbg.sources.files.video_file_source import VideoFileSource

START = b"\0\0\0\1"
RAMP = np.tile(np.linspace(0, 255, SIZE[0]).astype(np.uint8), (SIZE[1], 1))


def units_of(folder: Path, frame_of: Any, pixel_format: str) -> list[bytes]:
    options = {"x265-params": "log-level=none:bframes=0:keyint=4:repeat-headers=1", "crf": "4"}
    path = write_clip(
        folder / "layer.hevc", codec="libx265", options=options, frame_of=frame_of,
        pixel_format=pixel_format,
    )  # fmt: skip
    return path.read_bytes().replace(START, b"\0\0\1").split(b"\0\0\1")[1:]


def access_units(units: list[bytes]) -> list[list[bytes]]:
    """Each picture with the headers in front of it."""
    pictures: list[list[bytes]] = [[]]
    for unit in units:
        pictures[-1].append(unit)
        if (unit[0] >> 1) & 63 < 32:
            pictures.append([])
    return pictures[:-1]


def with_alpha(
    folder: Path, name: str, *, depth: str = "", apple: bool = False, without: int = -1
) -> Path:
    """Write 12 pictures with RAMP as their alpha.

    Args:
        apple: the colours are multiplied by alpha, and alpha has no colour differences.
        without: index of a picture that lacks its alpha.
    """

    def grey(_: int) -> av.VideoFrame:
        frame = av.VideoFrame(*SIZE, "yuv420p")
        planes: Any = frame.planes
        for plane, samples in zip(planes, (RAMP, np.uint8(128), np.uint8(128)), strict=True):
            rows: Any = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
            rows[:, : plane.width] = samples
        frame.color_range = 2 if apple else 0
        return frame if not depth else frame.reformat(format=f"yuv420p{depth}")

    def picture(index: int) -> av.VideoFrame:
        image = numbered(index, *SIZE)
        if apple:
            image = np.rint(image * (RAMP[..., None] / 255.0)).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        return frame.reformat(format=f"yuv420p{depth}", dst_colorspace=5, dst_color_range=1)

    alpha_format = f"gray{depth}" if apple else f"yuv420p{depth}"
    info = b"\x4e\1" + bytes([165, 4, apple << 4, 0, 0x7F, 0x90, 0x80])
    layers = [
        access_units(units_of(folder, picture, f"yuv420p{depth}")),
        access_units(units_of(folder, grey, alpha_format)),
    ]
    packets = []
    for index, (base, alpha) in enumerate(zip(*layers, strict=True)):
        second = [bytes([unit[0], unit[1] | 8]) + unit[2:] for unit in alpha]
        # SPS and PPS have the same numbers in both: the base's own come later and stay in force
        headers = [unit for unit in second if unit[0] >> 1 in (33, 34)]
        units = (*base[: len(headers) // 2], *headers, *base[len(headers) // 2 : -1], info)
        units = (*units, base[-1], *([] if index == without else second[-1:]))
        packets.append(b"".join(START + unit for unit in units))
    (folder / "both.hevc").write_bytes(b"".join(packets))
    if name.endswith(".hevc"):
        return (folder / "both.hevc").rename(folder / name)
    with (
        av.open(str(folder / "both.hevc"), format="hevc") as raw,
        av.open(str(folder / name), "w") as container,
    ):
        stream: Any = container.add_stream_from_template(raw.streams.video[0])
        stream.time_base = Fraction(1, 30)
        for index, packet in enumerate(p for p in raw.demux(video=0) if p.size):
            packet.pts = packet.dts = index
            packet.time_base, packet.duration, packet.stream = Fraction(1, 30), 1, stream
            container.mux(packet)
    return folder / name


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.hevc"])
@pytest.mark.parametrize("depth", ["", "10le"])
def test_the_layer_for_alpha_is_read(tmp_path: Path, name: str, depth: str) -> None:
    with VideoFileSource(with_alpha(tmp_path, name, depth=depth)) as source:
        assert source.info.has_alpha
        frames = list(source)
    assert [number_of(frame.image) for frame in frames] == list(range(12))
    for frame in frames:
        assert frame.alpha is not None
        assert np.abs(frame.alpha * 255 - RAMP).max() < 4


@pytest.mark.parametrize("depth", ["", "10le"])
def test_colours_multiplied_by_alpha_are_divided_by_it(tmp_path: Path, depth: str) -> None:
    with VideoFileSource(with_alpha(tmp_path, "a.mov", depth=depth, apple=True)) as source:
        frames = list(source)
    seen = RAMP > 40
    for index, frame in enumerate(frames):
        assert frame.alpha is not None
        assert np.abs(frame.alpha * 255 - RAMP).max() < 4
        difference = np.abs(frame.image.astype(int) - numbered(index, *SIZE))
        assert difference[seen].mean() < 6


@pytest.mark.parametrize("header", [b"\x40\1\x0c", b"\x40\1\x0c\x11\xff\xff"])
def test_a_header_of_both_layers_that_ffmpeg_refuses_is_not_needed(
    tmp_path: Path, header: bytes
) -> None:
    path = with_alpha(tmp_path, "a.hevc")
    units = path.read_bytes().split(START)
    path.write_bytes(START.join(header if unit[:1] == b"\x40" else unit for unit in units))
    with VideoFileSource(path) as source:
        assert [number_of(frame.image) for frame in source] == list(range(12))


@pytest.mark.parametrize(("without", "guessed"), [(0, 4), (5, 3), (7, 1), (11, 1)])
def test_a_picture_without_its_alpha_gets_the_one_before(
    tmp_path: Path, without: int, guessed: int
) -> None:
    numbers = []
    with (
        VideoFileSource(with_alpha(tmp_path, "a.mp4", without=without)) as source,
        pytest.raises(SourceIncomplete, match=rf"read in part: {guessed}, the first at"),
    ):
        for frame in source:
            numbers.append(number_of(frame.image))
            assert frame.alpha is not None
            assert np.abs(frame.alpha * 255 - RAMP).max() < 4
    assert numbers == list(range(12))
