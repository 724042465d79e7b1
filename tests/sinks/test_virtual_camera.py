"""The virtual camera on fakes of v4l2loopback and, for other systems, of pyvirtualcam."""

from __future__ import annotations

import errno
import logging
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from nodes import FakeDevice, FakeLoopback, FakePyvirtualcam, put, refuse

from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.camera import loopback_watch, virtual_camera
from vidbg.sinks.camera.loopback import LoopbackFacts
from vidbg.sinks.camera.loopback_camera import fit
from vidbg.sinks.camera.loopback_watch import Audience, opened_elsewhere
from vidbg.sinks.camera.virtual_camera import VirtualCameraSink

INFO = StreamInfo(64, 48, frame_rate=Fraction(30))
LIVE = StreamInfo(64, 48, frame_rate=Fraction(30), live=True)
COLOUR = (30, 120, 220)


def frame(index: int, info: StreamInfo = LIVE) -> Frame:
    return Frame(np.full((info.height, info.width, 3), COLOUR, np.uint8), index / 30, index)


def device(virtualcam: FakePyvirtualcam, **changes: Any) -> FakeLoopback:
    """Change the fixture's device and return it."""
    fake = virtualcam.kernel["/dev/video10"]
    assert isinstance(fake, FakeLoopback)
    for name, value in changes.items():
        setattr(fake, name, value)
    return fake


# --- writing --------------------------------------------------------------------------------------


def test_it_gets_bgr_frames(virtualcam: FakePyvirtualcam) -> None:
    with VirtualCameraSink(LIVE) as sink:
        sink.write(frame(7))
        assert sink.device == "/dev/video10"
    (camera,) = virtualcam.cameras
    assert camera.opened_as == (64, 48, 30.0, "BGR", "/dev/video10")
    assert camera.sent[0][0, 0].tolist() == list(COLOUR)
    sink.close()
    sink.abort()
    assert camera.closed == 1
    assert device(virtualcam).opened == 0
    with pytest.raises(SinkError, match="after it was closed"):
        sink.write(frame(8))


@pytest.mark.usefixtures("virtualcam")
def test_a_file_plays_at_its_own_speed_and_live_frames_do_not_wait() -> None:
    for info, least, longest in ((INFO, 0.29, 5.0), (LIVE, 0.0, 0.25)):
        start = time.monotonic()
        with VirtualCameraSink(info) as sink:
            for index in range(10):
                sink.write(frame(index, info))
        assert least < time.monotonic() - start < longest


@pytest.mark.usefixtures("virtualcam")
def test_odd_sizes_are_refused() -> None:
    with pytest.raises(SinkError, match="even sizes only, not 63x48"):
        VirtualCameraSink(StreamInfo(63, 48, live=True))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"failure": errno.ENODEV}, r"/dev/video10 is gone \(No such device\).*vidbg doctor"),
        ({"present": False}, r"/dev/video10 is gone \(another device, or none, is there\)"),
    ],
)
def test_a_device_that_vanishes(
    virtualcam: FakePyvirtualcam, change: dict[str, Any], words: str
) -> None:
    """pyvirtualcam itself would print a line for each frame and go on."""
    sink = VirtualCameraSink(LIVE)
    sink.write(frame(0))
    device(virtualcam, **change)
    with pytest.raises(SinkError, match=words):
        sink.write(frame(1))
    assert len(virtualcam.cameras[0].sent) == 1
    sink.close()
    assert virtualcam.cameras[0].closed == 1


def test_a_failure_of_pyvirtualcam(
    virtualcam: FakePyvirtualcam, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = VirtualCameraSink(LIVE)

    def fail(_: Any) -> None:
        raise OSError("gone")

    monkeypatch.setattr(virtualcam.cameras[0], "send", fail)
    with pytest.raises(SinkError, match=r"/dev/video10 accepts no more frames: gone.*vidbg doctor"):
        sink.write(frame(0))


# --- a device that keeps its format ---------------------------------------------------------------


@pytest.mark.parametrize("old", [False, True])
def test_a_kept_size_is_adopted(
    virtualcam: FakePyvirtualcam, caplog: pytest.LogCaptureFixture, old: bool
) -> None:
    device(virtualcam, old=old, readers=1, format=(96, 48, "YU12"))
    with VirtualCameraSink(LIVE) as sink, caplog.at_level(logging.WARNING):
        sink.write(frame(0))
        sink.write(frame(1))
    first, second = virtualcam.cameras
    assert (first.closed, first.sent) == (1, [])
    assert second.opened_as[:4] == (96, 48, 30.0, "BGR")
    image = second.sent[1]
    assert image.shape == (48, 96, 3)
    assert not image[:, :16].any()
    assert not image[:, -16:].any()
    assert (image[:, 16:-16] == COLOUR).all()


def test_a_kept_size_is_reported_once(
    virtualcam: FakePyvirtualcam, caplog: pytest.LogCaptureFixture
) -> None:
    device(virtualcam, readers=1, format=(320, 240, "YU12"))
    with VirtualCameraSink(LIVE) as sink:
        sink.write(frame(0))
        sink.write(frame(1))
    messages = [r.message for r in caplog.records if r.levelno >= logging.WARNING]
    assert messages == [
        "the virtual camera /dev/video10 keeps its format 320x240 YU12, because a program reads "
        "from it or it is locked: images of 64x48 are scaled to that"
    ]


@pytest.mark.parametrize(("name", "luma"), [("YUYV", 0), ("UYVY", 1)])
def test_a_kept_pixel_format_is_written(virtualcam: FakePyvirtualcam, name: str, luma: int) -> None:
    """OBS writes YUYV; a reader that stayed keeps the device in it."""
    device(virtualcam, readers=1, format=(64, 48, name))
    with VirtualCameraSink(LIVE) as sink:
        sink.write(frame(0))
    camera = virtualcam.cameras[-1]
    assert camera.opened_as[3] == name
    assert camera.sent[0].size == 64 * 48 * 2
    expected = cv2.cvtColor(frame(0).image, cv2.COLOR_BGR2YUV_I420)[0, 0]
    assert camera.sent[0][0, 0, luma] == expected


def test_a_kept_format_that_cannot_be_written(virtualcam: FakePyvirtualcam) -> None:
    fake = device(virtualcam, readers=1, format=(64, 48, "H264"))
    with pytest.raises(SinkError) as caught:
        VirtualCameraSink(LIVE)
    assert str(caught.value) == (
        "the virtual camera /dev/video10 keeps its format 64x48 H264, which vidbg cannot write "
        "(it can YU12, YUYV, UYVY). Next: close the programs that read from it; if its format "
        "is locked, `v4l2-ctl -d /dev/video10 -c keep_format=0`"
    )
    assert virtualcam.cameras[0].closed
    assert fake.opened == 0


class Restless(FakeLoopback):
    """Another program changes the format under our hands."""

    def set_format(self, wanted: tuple[int, int, str]) -> None:
        self.format = (wanted[0] + 2, *wanted[1:])


def test_a_format_that_will_not_stay(virtualcam: FakePyvirtualcam) -> None:
    virtualcam.kernel["/dev/video10"] = Restless()
    with pytest.raises(SinkError, match="changes its format while it is opened, from 66x48"):
        VirtualCameraSink(LIVE)
    assert [camera.closed for camera in virtualcam.cameras] == [1, 1]


@pytest.mark.parametrize(("size", "box"), [((64, 96), (0, 24, 64, 72)), ((32, 24), (0, 0, 32, 24))])
def test_images_keep_their_shape(size: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    width, height = size
    left, top, right, bottom = box
    fitted = fit(np.full((48, 64, 3), 200, np.uint8), width, height)
    expected = np.zeros((height, width, 3), np.uint8)
    expected[top:bottom, left:right] = 200
    np.testing.assert_array_equal(fitted, expected)


# --- module 0.12 ----------------------------------------------------------------------------------


def test_the_old_module_is_left_free(virtualcam: FakePyvirtualcam) -> None:
    fake = device(virtualcam, old=True)
    for _ in range(3):
        with VirtualCameraSink(LIVE) as sink:
            sink.write(frame(0))
        assert not fake.used_up


def test_a_used_up_device_is_freed(virtualcam: FakePyvirtualcam) -> None:
    device(virtualcam, old=True, used_up=True)
    with VirtualCameraSink(LIVE) as sink:
        sink.write(frame(0))
    assert len(virtualcam.cameras[0].sent) == 1


@pytest.mark.parametrize("failure", [None, errno.EBUSY])
def test_a_used_up_device_that_stays_so(
    virtualcam: FakePyvirtualcam, monkeypatch: pytest.MonkeyPatch, failure: int | None
) -> None:
    def revive(*_: Any) -> bool:
        if failure is not None:
            raise refuse(failure)
        return False

    device(virtualcam, old=True, used_up=True)
    monkeypatch.setattr(virtual_camera, "revive", revive)
    with pytest.raises(SinkError, match=r"left by its last writer.*sudo modprobe -r v4l2loopback"):
        VirtualCameraSink(LIVE)
    assert virtualcam.cameras == []


# --- the choice of a device -----------------------------------------------------------------------


def test_the_first_free_device_is_chosen(virtualcam: FakePyvirtualcam, tmp_path: Path) -> None:
    """pyvirtualcam would stop at /dev/video8, which may not be opened."""
    virtualcam.kernel["/dev/video8"] = refuse(errno.EACCES)
    virtualcam.kernel["/dev/video9"] = FakeLoopback(card="other", written=True)
    virtualcam.kernel["/dev/video11"] = FakeLoopback(card="second")
    virtualcam.kernel.lay_out(tmp_path)
    assert VirtualCameraSink(LIVE).device == "/dev/video10"
    assert VirtualCameraSink(LIVE, device="/dev/video11").device == "/dev/video11"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"written": True}, r"\(in use by another program\)\. Next: /dev/video10 is taken"),
        ({"keep_format": True}, r"locked by keep_format\)\..* -d /dev/video10 -c keep_format=0`"),
    ],
)
@pytest.mark.parametrize("name", [None, "/dev/video10"])
def test_a_device_that_is_not_free(
    virtualcam: FakePyvirtualcam, changes: dict[str, Any], words: str, name: str | None
) -> None:
    """pyvirtualcam would leave a file open for every such attempt."""
    device(virtualcam, **changes)
    with pytest.raises(SinkError) as caught:
        VirtualCameraSink(LIVE, device=name)
    assert virtualcam.cameras == []
    if name is not None:
        assert caught.match(words)
    else:
        assert caught.match(r"a virtual camera cannot be opened \(none is free\)")


def test_a_device_without_permission(virtualcam: FakePyvirtualcam) -> None:
    virtualcam.kernel["/dev/video10"] = refuse(errno.EACCES)
    with pytest.raises(SinkError, match=r"no permission to write\).*sudo usermod -aG video \$USER"):
        VirtualCameraSink(LIVE, device="/dev/video10")


def test_a_holder_is_named(virtualcam: FakePyvirtualcam, tmp_path: Path) -> None:
    device(virtualcam, written=True)
    put(tmp_path / "proc/77/comm", "obs\n")
    (tmp_path / "proc/77/fd").mkdir()
    (tmp_path / "proc/77/fd/9").symlink_to("/dev/video10")
    with pytest.raises(SinkError, match=r"that uses it \(open in obs \(pid 77\)\)"):
        VirtualCameraSink(LIVE, device="/dev/video10")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("/dev/video3", r"\(it does not exist\)\. Next: choose one .*: /dev/video10"),
        ("/dev/null", r"\(it is not a virtual camera\)\. Next: choose one .*: /dev/video10"),
    ],
)
@pytest.mark.usefixtures("virtualcam")
def test_what_is_no_virtual_camera(name: str, words: str) -> None:
    with pytest.raises(SinkError, match=words):
        VirtualCameraSink(LIVE, device=name)


def test_no_module_at_all(virtualcam: FakePyvirtualcam, monkeypatch: pytest.MonkeyPatch) -> None:
    none = LoopbackFacts("missing", "", ("debian",), ())
    monkeypatch.setattr(virtual_camera, "gather_facts", lambda: none)
    with pytest.raises(SinkError) as caught:
        VirtualCameraSink(LIVE)
    assert str(caught.value) == (
        "a virtual camera cannot be opened (none is free). Next: v4l2loopback is not "
        "installed: `sudo apt install v4l2loopback-dkms linux-headers-$(uname -r)`, then `sudo "
        "modprobe v4l2loopback exclusive_caps=1 card_label=vidbg video_nr=10`"
    )
    assert virtualcam.cameras == []


def test_a_refusal_of_pyvirtualcam(virtualcam: FakePyvirtualcam) -> None:
    virtualcam.refusal = "'v4l2loopback' backend: could not be configured:\n  Device busy."
    with pytest.raises(SinkError, match=r"configured:; Device busy\).*/dev/video10 looks free"):
        VirtualCameraSink(LIVE)
    assert device(virtualcam).opened == 0


def test_a_missing_package_is_named(
    virtualcam: FakePyvirtualcam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(SinkError, match="pip install pyvirtualcam"):
        VirtualCameraSink(LIVE)
    assert device(virtualcam).opened == 0


@pytest.mark.parametrize(
    ("platform", "words"),
    [("win32", "Unity Capture"), ("darwin", "OBS Studio 30"), ("freebsd14", "file or pipe")],
)
def test_refusals_elsewhere(
    virtualcam: FakePyvirtualcam, monkeypatch: pytest.MonkeyPatch, platform: str, words: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    virtualcam.refusal = "'obs' backend: not found"
    with pytest.raises(SinkError, match=words):
        VirtualCameraSink(LIVE)
    report = virtual_camera.virtual_camera_report()
    assert (report.usable, report.found) == (False, ("'obs' backend: not found",))
    assert words in (report.next_step or "")


@pytest.mark.usefixtures("virtualcam")
def test_elsewhere_pyvirtualcam_is_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    report = virtual_camera.virtual_camera_report()
    assert report == virtual_camera.VirtualCameraReport(True, ("Fake Camera (fake)",), None)
    with VirtualCameraSink(LIVE) as sink:
        sink.write(frame(0))
        assert sink.watched() is None


# --- who watches ----------------------------------------------------------------------------------


def test_readers_come_and_go(virtualcam: FakePyvirtualcam) -> None:
    fake = device(virtualcam)
    with VirtualCameraSink(LIVE) as sink:
        sink.write(frame(0))
        assert sink.watched() is False
        fake.read_by(1)
        assert sink.watched() is True
        assert sink.watched() is True
        fake.read_by(2)
        fake.read_by(0)
        assert sink.watched() is False


def test_a_reader_that_was_there_first(virtualcam: FakePyvirtualcam) -> None:
    device(virtualcam, readers=1, format=(64, 48, "YU12"))
    with VirtualCameraSink(LIVE) as sink:
        assert sink.watched() is True


def test_the_old_module_is_queried_through_proc(
    virtualcam: FakePyvirtualcam, monkeypatch: pytest.MonkeyPatch
) -> None:
    device(virtualcam, old=True)
    answers = {"/dev/video10": True}
    monkeypatch.setattr(loopback_watch, "opened_elsewhere", lambda path, _: answers[path])
    with VirtualCameraSink(LIVE) as sink:
        assert sink.watched() is True


def test_proc_is_looked_at_once_a_second(virtualcam: FakePyvirtualcam) -> None:
    device(virtualcam, old=True)
    now, answers = [0.0], iter([False, True, None])
    with virtualcam.kernel.open("/dev/video10") as node:
        audience = Audience(
            "/dev/video10", node, poll=lambda _: next(answers), clock=lambda: now[0]
        )
        messages = []
        for now[0] in (0.0, 0.5, 0.9, 1.0, 1.5, 2.1):
            messages.append(audience.watched())
    assert messages == [False, False, False, True, True, None]


def test_a_device_that_is_gone_has_no_telling(virtualcam: FakePyvirtualcam) -> None:
    fake = device(virtualcam)
    with virtualcam.kernel.open("/dev/video10") as node:
        audience = Audience("/dev/video10", node, poll=lambda _: None)
        assert audience.watched() is False
        fake.failure = errno.ENODEV
        assert audience.watched() is None


def open_files(root: Path, pid: str, *targets: str) -> None:
    folder = root / "proc" / pid / "fd"
    folder.mkdir(parents=True)
    for number, target in enumerate(targets):
        (folder / str(number)).symlink_to(target)


@pytest.mark.parametrize(
    ("others", "count", "messages"),
    [
        ([], "2", False),  # the module counts our own two files only
        ([], "3", None),  # somebody of whom we see nothing
        (["/dev/video10"], "3", True),
        (["/dev/video11"], "3", False),  # the third is seen, and at another device
        (["/dev/video11"], "4", None),
        (["/dev/video10"], "", True),
        ([], "", None),  # no count: nobody seen is not nobody
        (["/dev/null"], "1", None),  # a count that cannot be right
    ],
)
def test_no_user_is_reported_only_if_every_file_is_readable(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    others: list[str],
    count: str,
    messages: bool | None,
) -> None:
    monkeypatch.setattr("os.getpid", lambda: 7)
    open_files(tmp_path, "7", "/dev/video10", "/dev/video10", "/dev/video0")
    open_files(tmp_path, "8", "/dev/null", *others)
    put(tmp_path / "proc/9/comm", "another user's")
    if count:
        put(tmp_path / "sys/module/v4l2loopback/refcnt", count + "\n")
    assert opened_elsewhere("/dev/video10", ["/dev/video10", "/dev/video11"], tmp_path) is messages


def test_a_real_camera_is_never_written_to(virtualcam: FakePyvirtualcam, tmp_path: Path) -> None:
    virtualcam.kernel["/dev/video0"] = FakeDevice()
    virtualcam.kernel.lay_out(tmp_path)
    device(virtualcam, written=True)
    with pytest.raises(SinkError, match="none is free"):
        VirtualCameraSink(LIVE)
