"""Cameras and live sinks, with OpenCV's and pyvirtualcam's devices replaced by fakes."""

from __future__ import annotations

import io
import itertools
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from types import ModuleType, SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest
from fake_windows import FakeWindows
from hypothesis import given
from hypothesis import strategies as st

from vidbg.errors import SinkError, SourceError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks import Sink, loopback, virtual_camera
from vidbg.sinks.fan_out import FanOutSink
from vidbg.sinks.memory import MemorySink
from vidbg.sinks.raw_pipe import RawPipeSink
from vidbg.sinks.virtual_camera import VirtualCameraSink
from vidbg.sinks.window import WindowSink
from vidbg.sources import v4l2
from vidbg.sources.camera import CameraMode, CameraSource, list_cameras

INFO = StreamInfo(64, 48, frame_rate=Fraction(30))
LIVE = StreamInfo(64, 48, frame_rate=Fraction(30), live=True)


def frame(index: int, info: StreamInfo = INFO, **fields: Any) -> Frame:
    image = np.full((info.height, info.width, 3), index, np.uint8)
    return Frame(**{"image": image, "pts": index / 30, "index": index, **fields})


# --- camera ---------------------------------------------------------------------------------------


class FakeCapture:
    """A cv2.VideoCapture whose camera grants `granted` and then gives `count` pictures."""

    def __init__(self, granted: dict[int, float] | None = None, count: int = 10**9) -> None:
        self.asked: dict[int, float] = {}
        self.granted = granted or {}
        self.count = count
        self.released = 0
        self.hold: threading.Event | None = None
        self.reading = threading.Event()

    def isOpened(self) -> bool:
        return True

    def set(self, what: int, value: float) -> bool:
        self.asked[what] = value
        return True

    def get(self, what: int) -> float:
        return self.granted.get(what, self.asked.get(what, 0.0))

    def read(self) -> tuple[bool, Any]:
        self.reading.set()
        if self.hold is not None:
            self.hold.wait(10)
        if self.count == 0 or self.released:
            return False, None
        self.count -= 1
        height, width = self.get(cv2.CAP_PROP_FRAME_HEIGHT), self.get(cv2.CAP_PROP_FRAME_WIDTH)
        return True, np.zeros((int(height), int(width), 3), np.uint8)

    def release(self) -> None:
        self.released += 1


Plug = Callable[[FakeCapture], FakeCapture]


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Makes a fake the camera that OpenCV opens."""

    def put(capture: FakeCapture) -> FakeCapture:
        monkeypatch.setattr(cv2, "VideoCapture", lambda *_: capture)
        monkeypatch.setattr(v4l2, "refusal", lambda _: None)
        return capture

    return put


def test_camera_frames_follow_the_contract(plug: Plug) -> None:
    plug(FakeCapture())
    with CameraSource(0, width=64, height=48) as source:
        frames = [given for given, _ in zip(source, range(5), strict=False)]
    assert [f.index for f in frames] == [0, 1, 2, 3, 4]
    assert frames[0].pts == 0
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))
    assert source.info.live
    assert frames[0].image.shape == (48, 64, 3)


def test_camera_is_asked_for_the_mode_and_a_short_queue(plug: Plug) -> None:
    capture = plug(FakeCapture())
    source = CameraSource(0, width=1280, height=720, frame_rate=Fraction(25))
    assert capture.asked[cv2.CAP_PROP_BUFFERSIZE] == 1
    assert capture.asked[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert next(iter(capture.asked)) == cv2.CAP_PROP_FOURCC
    assert source.mode == CameraMode(1280, 720, Fraction(25), "MJPG")


@pytest.mark.parametrize(("width", "height", "chosen"), [(640, 480, "YUYV"), (1280, 720, "MJPG")])
def test_auto_takes_what_fits_through_usb_2(
    plug: Plug, width: int, height: int, chosen: str
) -> None:
    plug(FakeCapture())
    assert CameraSource(0, width=width, height=height).mode.pixel_format == chosen


def test_a_mode_that_was_not_granted_is_told(plug: Plug, caplog: pytest.LogCaptureFixture) -> None:
    granted = {
        cv2.CAP_PROP_FRAME_WIDTH: 640.0,
        cv2.CAP_PROP_FRAME_HEIGHT: 480.0,
        cv2.CAP_PROP_FPS: 15.0,
        cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"YUYV")),
    }
    plug(FakeCapture(granted))
    source = CameraSource(0, width=1280, height=720)
    assert source.mode == CameraMode(640, 480, Fraction(15), "YUYV")
    assert (source.info.width, source.info.height) == (640, 480)
    assert source.info.frame_rate == 15
    assert caplog.messages == [
        "camera /dev/video0 gives 640x480 at 15 FPS, YUYV, "
        "not the requested 1280x720 at 30 FPS, MJPG"
    ]


def test_a_driver_that_tells_nothing_is_no_warning(
    plug: Plug, caplog: pytest.LogCaptureFixture
) -> None:
    plug(FakeCapture({cv2.CAP_PROP_FPS: 0.0, cv2.CAP_PROP_FOURCC: -1.0}))
    source = CameraSource(0, width=64, height=48, frame_rate=Fraction(25))
    assert (source.mode.frame_rate, source.mode.pixel_format) == (None, "")
    assert source.info.frame_rate == 25
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_camera_that_opens_but_gives_nothing(plug: Plug) -> None:
    capture = plug(FakeCapture(count=0))
    with pytest.raises(SourceError, match=r"gave no picture.*vidbg devices"):
        CameraSource(0)
    assert capture.released


def test_a_camera_that_is_unplugged(plug: Plug) -> None:
    plug(FakeCapture(count=3))  # one at the opening, two after
    frames = iter(CameraSource(0, width=64, height=48))
    assert [next(frames).index, next(frames).index] == [0, 1]
    with pytest.raises(SourceError, match=r"/dev/video0 gave no picture.*unplugged"):
        next(frames)


def test_a_picture_size_that_changes(plug: Plug) -> None:
    capture = plug(FakeCapture())
    source = CameraSource(0, width=64, height=48)
    frames = iter(source)
    next(frames)
    capture.granted[cv2.CAP_PROP_FRAME_WIDTH] = 32.0
    with pytest.raises(SourceError, match="from 64x48 to 32x48"):
        next(frames)


def test_close_twice_ends_the_camera(plug: Plug) -> None:
    capture = plug(FakeCapture())
    source = CameraSource(0, width=64, height=48)
    source.close()
    source.close()
    assert capture.released
    assert list(source) == []


def test_close_while_another_thread_reads(plug: Plug) -> None:
    capture = plug(FakeCapture())
    source = CameraSource(0, width=64, height=48)
    capture.hold = threading.Event()
    capture.reading.clear()
    reader = threading.Thread(target=list, args=(source,))
    reader.start()
    assert capture.reading.wait(5)
    source.close()
    assert not capture.released  # never under the reader's hands
    capture.hold.set()
    reader.join(5)
    assert not reader.is_alive()
    assert capture.released


def test_a_busy_camera_names_its_holder(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = plug(FakeCapture())
    monkeypatch.setattr(capture, "isOpened", lambda: False)
    monkeypatch.setattr(v4l2, "holders", lambda _: ["zoom (pid 42)"])
    with pytest.raises(SourceError, match=r"in use by zoom \(pid 42\): close"):
        CameraSource(0)
    monkeypatch.setattr(v4l2, "holders", lambda _: [])
    with pytest.raises(SourceError, match="busy, forbidden or absent"):
        CameraSource(0)


def test_a_missing_camera() -> None:
    with pytest.raises(SourceError, match=r"no camera /dev/video99.*vidbg devices"):
        CameraSource("99")


@pytest.mark.parametrize(("platform", "words"), [("win32", "Privacy"), ("darwin", "terminal")])
def test_other_systems_open_by_number(
    monkeypatch: pytest.MonkeyPatch, plug: Plug, platform: str, words: str
) -> None:
    capture = plug(FakeCapture())
    monkeypatch.setattr(sys, "platform", platform)
    with CameraSource("1", width=64, height=48) as source:
        assert next(iter(source)).index == 0
    with pytest.raises(SourceError, match="give its number"):
        CameraSource("/dev/video0")
    monkeypatch.setattr(capture, "isOpened", lambda: False)
    with pytest.raises(SourceError, match=words):
        CameraSource(0)


def test_other_systems_list_by_probing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    opened = [FakeCapture(), FakeCapture()]

    def capture(index: int, _api: int) -> Any:
        return opened[index] if index < 2 else SimpleNamespace(isOpened=lambda: False)

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    assert [(c.index, c.device) for c in list_cameras()] == [(0, "0"), (1, "1")]
    assert all(c.released for c in opened)


# --- virtual camera -------------------------------------------------------------------------------


class FakeCamera:
    """A pyvirtualcam.Camera that keeps what it is sent."""

    def __init__(
        self, width: int, height: int, fps: float, *, fmt: str, device: str | None
    ) -> None:
        self.opened_as = (width, height, fps, fmt, device)
        self.device, self.backend = device or "Fake Camera", "fake"
        self.sent: list[Any] = []
        self.closed = 0

    def send(self, image: Any) -> None:
        self.sent.append(image)

    def close(self) -> None:
        self.closed += 1


NO_LOOPBACK = loopback.LoopbackFacts("missing", "", ("debian",), ())


@pytest.fixture
def virtualcam(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module: Any = ModuleType("pyvirtualcam")
    module.Camera = FakeCamera
    module.PixelFormat = SimpleNamespace(BGR="BGR")
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)
    monkeypatch.setattr(virtual_camera, "gather_facts", lambda: NO_LOOPBACK)
    return module  # type: ignore[no-any-return]


def fake_of(sink: VirtualCameraSink) -> FakeCamera:
    camera: FakeCamera = sink._camera
    return camera


def refuse(virtualcam: Any, words: str) -> None:
    def camera(*_: Any, **__: Any) -> None:
        raise RuntimeError(words)

    virtualcam.Camera = camera


@pytest.mark.usefixtures("virtualcam")
def test_virtual_camera_gets_bgr_frames() -> None:
    with VirtualCameraSink(LIVE) as sink:
        sink.write(frame(7, LIVE))
        camera = fake_of(sink)
    assert camera.opened_as == (64, 48, 30.0, "BGR", None)
    assert int(camera.sent[0][0, 0, 0]) == 7
    sink.close()
    sink.abort()
    assert camera.closed == 1
    with pytest.raises(SinkError, match="after it was closed"):
        sink.write(frame(8, LIVE))


@pytest.mark.usefixtures("virtualcam")
def test_a_file_plays_at_its_own_speed_and_live_frames_do_not_wait() -> None:
    for info, least, most in ((INFO, 0.29, 5.0), (LIVE, 0.0, 0.25)):
        start = time.monotonic()
        with VirtualCameraSink(info) as sink:
            for index in range(10):
                sink.write(frame(index, info))
        assert least < time.monotonic() - start < most


@pytest.mark.usefixtures("virtualcam")
def test_the_first_free_device_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = (
        loopback.LoopbackNode("/dev/video9", "other", "written"),
        loopback.LoopbackNode("/dev/video10", "vidbg", "free"),
    )
    facts = loopback.LoopbackFacts("loaded", "0.15.0", (), nodes)
    monkeypatch.setattr(virtual_camera, "gather_facts", lambda: facts)
    assert VirtualCameraSink(LIVE).device == "/dev/video10"
    assert VirtualCameraSink(LIVE, device="/dev/video9").device == "/dev/video9"


def test_every_refusal_gives_the_next_step(virtualcam: ModuleType) -> None:
    refuse(virtualcam, "'v4l2loopback' backend: No device.\n'other' backend: None either.")
    with pytest.raises(SinkError) as caught:
        VirtualCameraSink(LIVE)
    assert str(caught.value) == (
        "a virtual camera cannot be opened ('v4l2loopback' backend: No device.; 'other' backend: "
        "None either). Next: v4l2loopback is not installed: `sudo apt install v4l2loopback-dkms "
        "linux-headers-$(uname -r)`, then `sudo modprobe v4l2loopback exclusive_caps=1 "
        "card_label=vidbg video_nr=10`"
    )


@pytest.mark.parametrize(
    ("platform", "words"),
    [("win32", "Unity Capture"), ("darwin", "OBS Studio 30"), ("freebsd14", "file or pipe")],
)
def test_refusals_elsewhere(
    virtualcam: ModuleType, monkeypatch: pytest.MonkeyPatch, platform: str, words: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    refuse(virtualcam, "'obs' backend: not found")
    with pytest.raises(SinkError, match=words):
        VirtualCameraSink(LIVE)
    report = virtual_camera.virtual_camera_report()
    assert (report.usable, report.found) == (False, ("'obs' backend: not found",))
    assert words in (report.next_step or "")


@pytest.mark.usefixtures("virtualcam")
def test_report_elsewhere_opens_the_camera_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    report = virtual_camera.virtual_camera_report()
    assert report == virtual_camera.VirtualCameraReport(True, ("Fake Camera (fake)",), None)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(SinkError, match="pip install pyvirtualcam"):
        VirtualCameraSink(LIVE)


@pytest.mark.usefixtures("virtualcam")
def test_a_device_that_fails_while_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = VirtualCameraSink(LIVE, device="/dev/video10")

    def fail(_: Any) -> None:
        raise OSError("gone")

    monkeypatch.setattr(fake_of(sink), "send", fail)
    with pytest.raises(SinkError, match=r"/dev/video10 takes no more frames: gone.*vidbg doctor"):
        sink.write(frame(0))


@pytest.mark.usefixtures("virtualcam")
def test_odd_sizes_are_refused() -> None:
    with pytest.raises(SinkError, match="even sizes only, not 63x48"):
        VirtualCameraSink(StreamInfo(63, 48, live=True))


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
        with pytest.raises(SinkError, match=r"has gone .* after 1 frames"):
            sink.write(frame(1))
        sink.close()


def test_a_reader_of_standard_output_that_leaves() -> None:
    program = """
import sys
import numpy as np
from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.raw_pipe import RawPipeSink
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
    assert said.startswith("the program that reads the raw pipe has gone")
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
def opaque(request: pytest.FixtureRequest, virtualcam: ModuleType, windows: FakeWindows) -> Sink:
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
