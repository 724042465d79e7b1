"""Live sinks, with OpenCV's windows and pyvirtualcam's devices replaced by fakes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from fake_windows import FakeWindows
from hypothesis import given
from hypothesis import strategies as st
from nodes import FakePyvirtualcam

from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks import Sink
from vidbg.sinks.camera.virtual_camera import VirtualCameraSink
from vidbg.sinks.fan_out import FanOutSink
from vidbg.sinks.memory_sink import MemorySink
from vidbg.sinks.opaque_sink import OpaqueSink
from vidbg.sinks.preview.window import WindowSink
from vidbg.sinks.stream.raw_pipe import RawPipeSink

INFO = StreamInfo(64, 48, frame_rate=Fraction(30))
LIVE = StreamInfo(64, 48, frame_rate=Fraction(30), live=True)


def frame(index: int, info: StreamInfo = INFO, **fields: Any) -> Frame:
    image = np.full((info.height, info.width, 3), index, np.uint8)
    return Frame(**{"image": image, "pts": index / 30, "index": index, **fields})


# --- raw pipe -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 47), (1280, 720)])
def test_ffmpeg_reads_the_y4m_stream(width: int, height: int) -> None:
    info = StreamInfo(width, height, frame_rate=Fraction(30000, 1001))
    colour, pipe = (30, 120, 220), io.BytesIO()
    image = np.full((height, width, 3), colour, np.uint8)
    with RawPipeSink(info, pipe) as sink:
        for index in range(3):
            sink.write(Frame(image, index * 1001 / 30000, index))
    pipe.seek(0)
    with av.open(pipe, "r", format="yuv4mpegpipe") as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert stream.average_rate == info.frame_rate
    matrix = "ITU709" if height >= 720 else "ITU601"
    pictures = [f.to_ndarray(format="bgr24", src_colorspace=matrix) for f in frames]
    assert [p.shape for p in pictures] == [(height, width, 3)] * 3
    # 8-bit YUV in limited range, and FFmpeg's fast conversion back
    assert np.abs(pictures[0].astype(int) - colour).max() <= 4


@pytest.mark.parametrize("complete", [True, False])
def test_the_last_frame_is_repeated_as_long_as_it_lasts(complete: bool) -> None:
    pipe = io.BytesIO()
    sink = RawPipeSink(StreamInfo(64, 48, frame_rate=Fraction(10)), pipe, raw_format="bgr24")
    for index in range(3):
        image = np.full((48, 64, 3), index, np.uint8)
        sink.write(Frame(image, index / 10, index, duration_s=1.5 if index == 2 else 0.1))
    sink.close() if complete else sink.abort()
    shown = np.frombuffer(pipe.getvalue(), np.uint8).reshape(-1, 48, 64, 3)[:, 0, 0, 0]
    assert list(shown) == [0, 1, *[2] * (15 if complete else 1)]


def test_y4m_keeps_the_shape_of_pixels() -> None:
    pipe = io.BytesIO()
    RawPipeSink(StreamInfo(64, 48, sample_aspect_ratio=Fraction(16, 11)), pipe)
    assert pipe.getvalue() == (b"YUV4MPEG2 W64 H48 A16:11 F30:1 Ip C420mpeg2 XCOLORRANGE=LIMITED\n")


def test_bgr24_is_bare_pixels() -> None:
    pipe = io.BytesIO()
    with RawPipeSink(INFO, pipe, raw_format="bgr24") as sink:
        sink.write(frame(5))
    assert pipe.getvalue() == bytes([5]) * 64 * 48 * 3
    assert not pipe.closed


@given(st.lists(st.floats(0.001, 0.4), max_size=20))
def test_the_pipe_lasts_as_long_as_the_source(gaps: list[float]) -> None:
    times = np.cumsum([100.0, *gaps])
    pipe = io.BytesIO()
    sink = RawPipeSink(StreamInfo(2, 2, Fraction(30)), pipe, raw_format="bgr24")
    for index, pts in enumerate(times):
        sink.write(Frame(np.zeros((2, 2, 3), np.uint8), float(pts), index))
    assert len(pipe.getvalue()) // 12 == round((times[-1] - times[0]) * 30) + 1


def test_a_reader_that_leaves() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "wb", buffering=0) as pipe:
        sink = RawPipeSink(INFO, pipe)
        sink.write(frame(0))
        os.close(read)
        with pytest.raises(SinkError, match=r"has exited .* after 1 frames"):
            sink.write(frame(1))
        sink.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_disk_and_a_closed_reader_have_different_errors() -> None:
    told = "written after 0 frames: No space left on device"
    with Path("/dev/full").open("wb", buffering=0) as disk, pytest.raises(SinkError, match=told):
        RawPipeSink(INFO, disk)  # which writes the header


def test_a_reader_of_standard_output_that_leaves() -> None:
    program = """
import sys
import numpy as np
from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.stream.raw_pipe import RawPipeSink
try:
    with RawPipeSink(StreamInfo(640, 480)) as sink:
        for index in range(1000):
            sink.write(Frame(np.zeros((480, 640, 3), np.uint8), index / 30, index))
except SinkError as error:
    sys.exit(str(error))
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(10) == b"YUV4MPEG2 "
        process.stdout.close()
        said = process.stderr.read().decode()
    assert process.returncode == 1
    assert said.startswith("the program that reads the raw pipe has exited")
    assert len(said.splitlines()) == 1  # no complaint of Python's own at exit


def test_a_terminal_is_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(SinkError, match="terminal"):
        RawPipeSink(INFO)


# --- what all live sinks keep ---------------------------------------------------------------------

Opener = Callable[[], Sink]


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> FakeWindows:
    return FakeWindows(monkeypatch)


@pytest.fixture(params=["virtual camera", "window", "raw pipe"])
def opaque(
    request: pytest.FixtureRequest, virtualcam: FakePyvirtualcam, windows: FakeWindows
) -> Sink:
    assert virtualcam
    assert windows
    openers: dict[str, Opener] = {
        "virtual camera": lambda: VirtualCameraSink(LIVE),
        "window": lambda: WindowSink(INFO),
        "raw pipe": lambda: RawPipeSink(INFO, io.BytesIO()),
    }
    return openers[request.param]()


def test_frames_with_alpha_are_refused(opaque: Sink, windows: FakeWindows) -> None:
    room = frame(9, alpha=np.zeros((48, 64), np.float32))
    with pytest.raises(SinkError, match="cannot show transparent frames"):
        opaque.write(room)
    assert not windows.shown


def test_frames_of_another_size_or_type_are_refused(opaque: Sink) -> None:
    for image in (np.zeros((48, 62, 3), np.uint8), np.zeros((48, 64, 3), np.float32)):
        with pytest.raises(SinkError, match=r"takes uint8 \(48, 64, 3\)"):
            opaque.write(Frame(image, 0.0, 0))  # type: ignore[arg-type]


def test_writing_after_the_end_is_refused(opaque: Sink) -> None:
    opaque.abort()
    opaque.close()
    with pytest.raises(SinkError, match="closed"):
        opaque.write(frame(0))


# --- memory and fan-out ---------------------------------------------------------------------------


def test_memory_keeps_the_newest() -> None:
    with MemorySink(max_frames=2) as sink:
        for index in range(5):
            sink.write(frame(index))
    assert [f.index for f in sink.frames] == [3, 4]
    assert (sink.written, sink.state) == (5, "closed")
    sink.abort()
    assert sink.state == "closed"
    with pytest.raises(SinkError, match="after it was closed"):
        sink.write(frame(6))


def test_memory_knows_that_it_was_aborted() -> None:
    with pytest.raises(KeyError), MemorySink() as sink:
        raise KeyError
    assert sink.state == "aborted"


def test_fan_out_reaches_all() -> None:
    one, other = MemorySink(), MemorySink()
    with FanOutSink([one, other]) as sink:
        sink.write(frame(0))
    assert [s.written for s in (one, other)] == [1, 1]
    assert [s.state for s in (one, other)] == ["closed", "closed"]


@pytest.mark.parametrize(
    ("answers", "together"),
    [
        ([True, False], True),
        ([False, None, True], True),
        ([False, None], None),
        ([False, False], False),
    ],
)
def test_fan_out_is_watched_if_one_of_them_is(
    answers: list[bool | None], together: bool | None
) -> None:
    class Told(MemorySink):
        def __init__(self, answer: bool | None) -> None:
            super().__init__()
            self.answer = answer

        def watched(self) -> bool | None:
            return self.answer

    assert FanOutSink([Told(answer) for answer in answers]).watched() is together
    assert OpaqueSink(Told(answers[0])).watched() is answers[0]


def test_fan_out_closes_the_others_when_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = MemorySink(), MemorySink()

    def fail() -> None:
        raise SinkError("disk full")

    monkeypatch.setattr(one, "close", fail)
    with pytest.raises(SinkError, match="disk full"):
        FanOutSink([one, other]).close()
    assert other.state == "closed"


def test_fan_out_aborts_all_on_an_exception() -> None:
    one, other = MemorySink(), MemorySink()
    with pytest.raises(KeyError), FanOutSink([one, other]):
        raise KeyError
    assert [s.state for s in (one, other)] == ["aborted", "aborted"]
