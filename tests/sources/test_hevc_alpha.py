"""HEVC with a layer for alpha, as x265 writes it: made of two streams here."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import SIZE, number_of, numbered, write_clip

from vidbg.errors import SourceError, SourceIncomplete
from vidbg.sources.files.video_file_source import VideoFileSource

START = b"\0\0\0\1"
RAMP = np.tile(np.linspace(0, 255, SIZE[0]).astype(np.uint8), (SIZE[1], 1))


def units_of(folder: Path, frame_of: Any, depth: str) -> list[bytes]:
    options = {"x265-params": "log-level=none:bframes=0:keyint=4:repeat-headers=1", "crf": "4"}
    path = write_clip(
        folder / "layer.hevc", codec="libx265", options=options, frame_of=frame_of,
        pixel_format=f"yuv420p{depth}",
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
    folder: Path, name: str, *, depth: str = "", use: int = 0, without: int = -1
) -> Path:
    def grey(_: int) -> av.VideoFrame:
        frame = av.VideoFrame(*SIZE, "yuv420p")
        planes: Any = frame.planes
        for plane, samples in zip(planes, (RAMP, np.uint8(128), np.uint8(128)), strict=True):
            rows: Any = np.frombuffer(plane, np.uint8).reshape(plane.height, -1)
            rows[:, : plane.width] = samples
        return frame if not depth else frame.reformat(format=f"yuv420p{depth}")

    def picture(index: int) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(numbered(index, *SIZE), format="bgr24")
        return frame.reformat(format=f"yuv420p{depth}", dst_colorspace=5, dst_color_range=1)

    info = b"\x4e\1" + bytes([165, 4, use << 4, 0, 0x7F, 0x90, 0x80])
    layers = [access_units(units_of(folder, make, depth)) for make in (picture, grey)]
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
    with av.open(str(folder / "both.hevc")) as raw, av.open(str(folder / name), "w") as container:
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


@pytest.mark.parametrize(("without", "lost"), [(7, [7]), (11, [11])])
def test_one_picture_without_alpha_costs_no_others(
    tmp_path: Path, without: int, lost: list[int]
) -> None:
    numbers = []
    with (
        VideoFileSource(with_alpha(tmp_path, "a.mp4", without=without)) as source,
        pytest.raises(SourceIncomplete, match=r"could not be read: 1,.* lacks its alpha"),
    ):
        for frame in source:
            numbers.append(number_of(frame.image))
            assert frame.alpha is not None
            assert np.abs(frame.alpha * 255 - RAMP).max() < 4
    assert numbers == [number for number in range(12) if number not in lost]


def test_colours_multiplied_by_alpha_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"already multiplied by alpha.*export ProRes 4444"):
        VideoFileSource(with_alpha(tmp_path, "a.mp4", use=1))
