"""Cameras with OpenCV's devices replaced by fakes, and how names choose a camera."""

from __future__ import annotations

import itertools
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from vidbg.errors import SourceError
from vidbg.sources.camera import opencv_capture, remembered_camera, v4l2
from vidbg.sources.camera.camera_mode import CameraMode
from vidbg.sources.camera.camera_source import CameraOptions, CameraSource, list_cameras
from vidbg.sources.camera.remembered_camera import RememberedCamera, find_camera
from vidbg.sources.camera.v4l2 import CameraInfo


class FakeCapture:
    """A cv2.VideoCapture whose camera grants `granted` and then gives `count` pictures."""

    def __init__(self, granted: dict[int, float] | None = None, count: int = 10**9) -> None:
        self.asked: dict[int, float] = {}
        self.granted = granted or {}
        self.count = count
        self.released = 0
        self.hold: threading.Event | None = None
        self.frozen = False
        self.waited: list[int] = []
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

    def wait(self, nanoseconds: int) -> tuple[bool, Any]:
        """cv2.VideoCapture.waitAny of this alone; OpenCV 5 answers with an array."""
        self.waited.append(nanoseconds)
        if self.frozen:
            time.sleep(nanoseconds / 1e9)
        return not self.frozen, np.array([] if self.frozen else [0])

    def release(self) -> None:
        self.released += 1


class FakeOpener:
    """cv2.VideoCapture, the class."""

    def __init__(self, capture: FakeCapture) -> None:
        self.capture = capture
        self.opened: list[int | str] = []

    def __call__(self, target: int | str, _api: int) -> FakeCapture:
        self.opened.append(target)
        return self.capture

    def waitAny(self, captures: list[FakeCapture], timeoutNs: int) -> tuple[bool, Any]:
        (capture,) = captures
        return capture.wait(timeoutNs)


Plug = Callable[[FakeCapture], FakeCapture]


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    """Make a fake the camera that OpenCV opens."""

    def put(capture: FakeCapture) -> FakeCapture:
        monkeypatch.setattr(cv2, "VideoCapture", FakeOpener(capture))
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


def test_the_camera_is_set_to_the_mode_and_a_short_queue(plug: Plug) -> None:
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


def test_a_mode_that_was_not_granted_is_reported(
    plug: Plug, caplog: pytest.LogCaptureFixture
) -> None:
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


def test_a_driver_that_reports_no_mode_causes_no_warning(
    plug: Plug, caplog: pytest.LogCaptureFixture
) -> None:
    plug(FakeCapture({cv2.CAP_PROP_FPS: 0.0, cv2.CAP_PROP_FOURCC: -1.0}))
    source = CameraSource(0, width=64, height=48, frame_rate=Fraction(25))
    assert (source.mode.frame_rate, source.mode.pixel_format) == (None, "")
    assert source.info.frame_rate == 25
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_camera_that_opens_but_delivers_no_frame(plug: Plug) -> None:
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


def test_a_change_of_picture_size_is_handled(plug: Plug, caplog: pytest.LogCaptureFixture) -> None:
    capture = plug(FakeCapture())
    source = CameraSource(0, width=64, height=48)
    frames = iter(source)
    given = [next(frames)]
    capture.granted[cv2.CAP_PROP_FRAME_WIDTH] = 32.0
    given += [next(frames), next(frames)]
    assert [(f.width, f.height) for f in given] == [(64, 48), (32, 48), (32, 48)]
    assert [f.index for f in given] == [0, 1, 2]
    assert given[0].pts < given[1].pts < given[2].pts
    assert (source.info.width, source.mode.width) == (32, 32)
    assert caplog.messages == [
        "camera /dev/video0 changed from 64x48 at 30 FPS, YUYV to 32x48 at 30 FPS, YUYV"
    ]


def test_a_camera_that_freezes(plug: Plug) -> None:
    capture = plug(FakeCapture())
    source = CameraSource(0, width=64, height=48, read_timeout_s=0.3)
    frames = iter(source)
    next(frames)
    capture.frozen = True
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"/dev/video0 has frozen: no picture for 0\.3 s"):
        next(frames)
    assert 0.25 < time.monotonic() - start < 2
    source.close()
    assert capture.released
    assert 0 not in capture.waited  # which would be for ever


def test_a_frozen_camera_is_freed_soon_after_it_was_closed(plug: Plug) -> None:
    capture = plug(FakeCapture())
    source = CameraSource(0, width=64, height=48, read_timeout_s=60)
    capture.frozen = True
    reader = threading.Thread(target=list, args=(source,))
    reader.start()
    while len(capture.waited) < 2:
        time.sleep(0.01)
    start = time.monotonic()
    source.close()
    assert time.monotonic() - start < 0.1
    reader.join(5)
    assert not reader.is_alive()
    assert capture.released


def test_an_unplugged_camera_is_an_error_of_opencvs(plug: Plug) -> None:
    """waitAny raises where the kernel reports POLLERR."""
    capture = plug(FakeCapture())
    source = CameraSource(0, width=64, height=48)

    def fail(_nanoseconds: int) -> None:
        raise cv2.error("Error is reported for camera stream: 0 (handle = 5)")

    capture.wait = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(SourceError, match=r"/dev/video0 gave no picture.*unplugged"):
        next(iter(source))
    source.close()
    assert capture.released


def test_a_failure_after_closing_frees_the_camera_without_a_word(plug: Plug) -> None:
    capture = plug(FakeCapture(count=1))
    source = CameraSource(0, width=64, height=48)
    capture.hold = threading.Event()
    capture.reading.clear()
    given: list[Any] = []
    reader = threading.Thread(target=lambda: given.append(list(source)))
    reader.start()
    assert capture.reading.wait(5)
    source.close()
    capture.hold.set()
    reader.join(5)
    assert given == [[]]
    assert capture.released


def test_elsewhere_opencv_decides_how_long_to_wait(
    plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = plug(FakeCapture())
    monkeypatch.setattr(sys, "platform", "darwin")
    next(iter(CameraSource(0, width=64, height=48)))
    assert capture.waited == []


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
    monkeypatch.setattr(opencv_capture, "holders", lambda _: ["zoom (pid 42)"])
    with pytest.raises(SourceError, match=r"in use by zoom \(pid 42\): close"):
        CameraSource(0)
    monkeypatch.setattr(opencv_capture, "holders", lambda _: [])
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


# --- which camera is meant ------------------------------------------------------------------------

WEBCAM = CameraInfo(0, "/dev/video0", "HD Webcam", bus="usb-1")
LOGITECH = CameraInfo(2, "/dev/video2", "Logitech BRIO", bus="usb-2")
PHONE = CameraInfo(8, "/dev/video8", "Phone webcam", virtual=True, bus="platform:v4l2loopback-000")
OURS = CameraInfo(10, "/dev/video10", "vidbg", virtual=True, bus="platform:v4l2loopback-001")
ALL = [WEBCAM, LOGITECH, PHONE, OURS]


@pytest.mark.parametrize(
    ("device", "meant"),
    [
        (0, WEBCAM),
        ("2", LOGITECH),
        ("/dev/video2", LOGITECH),
        ("HD Webcam", WEBCAM),
        ("brio", LOGITECH),
        ("webcam", WEBCAM),  # a real one before the virtual one
        ("phone", PHONE),
        (8, PHONE),
        ("vidbg", OURS),  # asked for by its whole name
        ("/dev/video10", OURS),
    ],
)
def test_the_camera_that_is_meant(device: int | str, meant: CameraInfo) -> None:
    assert find_camera(device, ALL) == meant


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("E", r"'E' fits several cameras: .*HD Webcam\), .*Logitech BRIO\)\. Give more"),
        ("kinect", r"no camera named 'kinect'.*HD Webcam\), .*BRIO\), .*Phone webcam, virtual\)"),
        ("7", r"no camera /dev/video7\. This computer has /dev/video0 \(HD Webcam\)"),
        ("/dev/v4l/by-id/usb-x", r"no camera /dev/v4l/by-id/usb-x\. This computer has"),
        (10, r"/dev/video10 \(vidbg, virtual\) is what vidbg writes to.*give its path"),
        ("vid", r"no camera named 'vid'"),
    ],
)
def test_a_camera_that_cannot_be_identified_is_refused(device: int | str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        find_camera(device, ALL)


def test_two_devices_of_one_name_are_distinguished_by_path() -> None:
    twins = [WEBCAM, CameraInfo(4, "/dev/video4", "HD Webcam", bus="usb-4")]
    with pytest.raises(SourceError, match=r"'HD Webcam' fits several.*video0.*video4.*or a path"):
        find_camera("HD Webcam", twins)
    assert find_camera("/dev/video4", twins).index == 4


def test_no_camera_at_all() -> None:
    with pytest.raises(SourceError, match=r"/dev/video0\. This computer has no camera now"):
        find_camera(0, [])


def test_a_node_that_is_no_camera_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    node = tmp_path / "video1"
    node.touch()
    monkeypatch.setattr(v4l2, "refusal", lambda path: f"{path} gives no pictures")
    with pytest.raises(SourceError, match="video1 gives no pictures"):
        find_camera(str(node), ALL)


class FakeSource:
    """What CameraSource was opened with."""

    opened: ClassVar[list[tuple[Any, dict[str, Any]]]] = []

    def __init__(self, device: int | str, **request: Any) -> None:
        if device == "/dev/video13":
            raise SourceError("busy")
        self.opened.append((device, request))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    monkeypatch.setattr(remembered_camera, "CameraSource", FakeSource)
    monkeypatch.setattr(FakeSource, "opened", [])
    return FakeSource.opened


def at(camera: CameraInfo, index: int, bus: str | None = None) -> CameraInfo:
    """Return the same camera under another number, and perhaps in another port."""
    return CameraInfo(
        index, f"/dev/video{index}", camera.name, bus=camera.bus if bus is None else bus
    )


@pytest.mark.parametrize("device", [2, "brio", "/dev/video2"])
@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ([WEBCAM, LOGITECH], "/dev/video2"),
        ([WEBCAM, at(LOGITECH, 4)], "/dev/video4"),
        ([at(LOGITECH, 0), at(WEBCAM, 2)], "/dev/video0"),  # the old number is another's now
        ([WEBCAM, at(LOGITECH, 4, "usb-9")], "/dev/video4"),
        ([WEBCAM, at(LOGITECH, 4, "usb-9"), at(LOGITECH, 6)], "/dev/video6"),
    ],
)
def test_a_camera_is_found_again(
    opened: list[tuple[Any, dict[str, Any]]],
    device: int | str,
    later: Sequence[CameraInfo],
    expected: str,
) -> None:
    answers = iter([[WEBCAM, LOGITECH], later])
    choice = RememberedCamera(device, cameras=lambda: next(answers))
    asked = CameraOptions(
        width=640, height=360, frame_rate=Fraction(25), pixel_format="MJPG", read_timeout_s=1.5
    )
    choice.open(**asked)
    choice.open()
    assert [device for device, _ in opened] == ["/dev/video2", expected]
    assert opened[0][1] == asked


@pytest.mark.usefixtures("opened")
def test_a_camera_that_is_away_is_not_replaced() -> None:
    twin = at(WEBCAM, 4, "usb-4")
    later = [[at(LOGITECH, 0)], [twin], []]
    answers = iter([[WEBCAM, twin], *later])
    choice = RememberedCamera(0, cameras=lambda: next(answers))
    choice.open()
    for _ in later:
        with pytest.raises(SourceError, match=r"camera /dev/video0 \(HD Webcam\) is away: plug"):
            choice.open()


def test_what_did_not_open_is_not_remembered(opened: list[tuple[Any, dict[str, Any]]]) -> None:
    answers = iter([[at(WEBCAM, 13)], [at(LOGITECH, 13)], [at(WEBCAM, 14)]])
    choice = RememberedCamera("webcam", cameras=lambda: next(answers))
    with pytest.raises(SourceError, match="busy"):
        choice.open()
    with pytest.raises(SourceError, match="no camera named 'webcam'"):
        choice.open()
    choice.open()
    assert [device for device, _ in opened] == ["/dev/video14"]


def test_a_link_is_followed_each_time(
    opened: list[tuple[Any, dict[str, Any]]], tmp_path: Path
) -> None:
    """/dev/v4l/by-id knows serial numbers: a twin in the same plug is not that camera."""
    link = tmp_path / "usb-0001"
    twins = [at(WEBCAM, 4, "usb-4"), at(WEBCAM, 5, "usb-5")]
    choice = RememberedCamera(str(link), cameras=lambda: twins)
    for target in ("/dev/video4", "/dev/video5"):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        choice.open()
    assert [device for device, _ in opened] == ["/dev/video4", "/dev/video5"]


@pytest.mark.usefixtures("opened")
def test_a_virtual_camera_and_a_new_number_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    answers = iter([[PHONE], [at(PHONE, 9)]])
    choice = RememberedCamera(8, cameras=lambda: next(answers))
    choice.open()
    choice.open()
    assert caplog.messages == [
        "/dev/video8 (Phone webcam, virtual) is a virtual camera: it shows what another program "
        "writes",
        "camera /dev/video8 (Phone webcam, virtual) is back as /dev/video9",
    ]


@pytest.mark.parametrize("device", ["/dev/video10", "vidbg", "/dev/video8"])
def test_our_own_output_is_no_camera(
    opened: list[tuple[Any, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    """Whatever its name, and however it was asked for."""
    monkeypatch.setattr(remembered_camera, "opened_by_us", len)
    with pytest.raises(SourceError, match=r"is what vidbg writes to.*choose another camera$"):
        RememberedCamera(device, cameras=lambda: ALL).open()
    RememberedCamera(0, cameras=lambda: ALL).open()  # a real one may be shared
    assert [device for device, _ in opened] == ["/dev/video0"]


def test_elsewhere_a_number_is_all_there_is(
    opened: list[tuple[Any, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    RememberedCamera(1).open()
    assert opened[0][0] == 1


def test_the_label_matches_the_advice() -> None:
    from vidbg.sinks.camera.loopback import MODPROBE

    assert f"card_label={remembered_camera.OUR_LABEL} " in MODPROBE
