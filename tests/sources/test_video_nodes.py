"""Linux's video nodes: ioctl numbers, what a node reports, and who has it open."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from pathlib import Path

import nodes
import pytest
from nodes import FakeDevice, FakeNode, put

from vidbg.platform import video_nodes
from vidbg.platform.video_nodes import (
    Capability,
    VideoNode,
    capability,
    holders,
    opened_by_others,
    opened_by_us,
    parse_capability,
)
from vidbg.sinks.camera import loopback_node
from vidbg.sources.camera import camera_formats

WRITE, READ = 1, 2  # _IOC_WRITE, _IOC_READ of asm-generic/ioctl.h

# Printed by a C program that includes linux/videodev2.h (Linux 6.1, x86-64): each request, and
# sizeof of its structure.
REQUESTS = {
    "VIDIOC_QUERYCAP": (video_nodes.QUERYCAP, 0x80685600, 104),
    "VIDIOC_ENUM_FMT": (camera_formats.ENUM_FMT, 0xC0405602, 64),
    "VIDIOC_ENUM_FRAMESIZES": (camera_formats.ENUM_FRAMESIZES, 0xC02C564A, 44),
    "VIDIOC_ENUM_FRAMEINTERVALS": (camera_formats.ENUM_FRAMEINTERVALS, 0xC034564B, 52),
    "VIDIOC_G_FMT": (loopback_node.G_FMT, 0xC0D05604, 208),
    "VIDIOC_G_CTRL": (loopback_node.G_CTRL, 0xC008561B, 8),
    "VIDIOC_STREAMON": (loopback_node.STREAMON, 0x40045612, 4),
    "VIDIOC_SUBSCRIBE_EVENT": (loopback_node.SUBSCRIBE_EVENT, 0x4020565A, 32),
    "VIDIOC_DQEVENT": (loopback_node.DQEVENT, 0x80885659, 136),
}

LAYOUTS = {
    "VIDIOC_QUERYCAP": (video_nodes.CAPABILITY, nodes.V4l2Capability),
    "VIDIOC_ENUM_FMT": (camera_formats.FMTDESC, nodes.V4l2Fmtdesc),
    "VIDIOC_ENUM_FRAMESIZES": (camera_formats.FRMSIZEENUM, nodes.V4l2Frmsizeenum),
    "VIDIOC_ENUM_FRAMEINTERVALS": (camera_formats.FRMIVALENUM, nodes.V4l2Frmivalenum),
    "VIDIOC_G_FMT": (loopback_node.FORMAT, nodes.V4l2Format),
    "VIDIOC_G_CTRL": (loopback_node.CONTROL, nodes.V4l2Control),
    "VIDIOC_STREAMON": (loopback_node.BUFFER_TYPE, ctypes.c_int),
    "VIDIOC_SUBSCRIBE_EVENT": (loopback_node.SUBSCRIPTION, nodes.V4l2EventSubscription),
    "VIDIOC_DQEVENT": (loopback_node.EVENT, nodes.V4l2Event),
}

# offsetof of the same program
OFFSETS = [
    (nodes.V4l2Capability, "bus_info", 48),
    (nodes.V4l2Capability, "capabilities", 84),
    (nodes.V4l2Capability, "device_caps", 88),
    (nodes.V4l2Fmtdesc, "type", 4),
    (nodes.V4l2Fmtdesc, "description", 12),
    (nodes.V4l2Fmtdesc, "pixelformat", 44),
    (nodes.V4l2Frmsizeenum, "type", 8),
    (nodes.V4l2Frmsizeenum, "stepwise", 12),
    (nodes.V4l2Frmivalenum, "type", 16),
    (nodes.V4l2Frmivalenum, "stepwise", 20),
    (nodes.V4l2Format, "fmt", 8),
    (nodes.V4l2EventSubscription, "flags", 8),
    (nodes.V4l2Event, "u", 8),
    (nodes.V4l2Event, "pending", 72),
    (nodes.V4l2Event, "timestamp", 80),
    (nodes.V4l2Event, "id", 96),
]


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_and_layouts_are_the_headers(name: str) -> None:
    request, known, size = REQUESTS[name]
    packed, structure = LAYOUTS[name]
    assert request == known
    assert (request >> 16) & 0x3FFF == size  # _IOC_SIZE: the kernel copies so many bytes
    assert (packed.size, ctypes.sizeof(structure)) == (size, size)
    reads = name not in ("VIDIOC_STREAMON", "VIDIOC_SUBSCRIBE_EVENT")
    assert bool(request >> 30 & READ) == reads
    assert (request >> 8) & 0xFF == ord("V")


@pytest.mark.parametrize(("structure", "field", "offset"), OFFSETS)
def test_the_fakes_lay_out_as_the_header(
    structure: type[ctypes.Structure], field: str, offset: int
) -> None:
    assert getattr(structure, field).offset == offset


def test_the_numbers_of_the_module_itself() -> None:
    assert loopback_node.CLIENT_USAGE == 0x08000000 + 0x08E00000 + 1
    assert loopback_node.KEEP_FORMAT == 0x00980900 | 0xF000


# --- what a node says -----------------------------------------------------------------------------


def answer(driver: str, card: str, all_nodes: int, this_node: int) -> bytes:
    """struct v4l2_capability as the kernel fills it."""
    texts = driver.encode().ljust(16, b"\0") + card.encode().ljust(32, b"\0")
    texts += b"usb-1".ljust(32, b"\0")
    return texts + struct.pack("=III", 0x60100, all_nodes, this_node) + bytes(12)


@pytest.mark.parametrize(
    ("all_nodes", "this_node", "captures", "outputs"),
    [
        (0x84A00001, 0x04200001, True, False),  # a UVC camera's first node, as v4l2-ctl -D has it
        (0x84A00001, 0x04A00000, False, False),  # its second: metadata
        (0x85200003, 0x05200002, False, True),  # v4l2loopback without a writer: output only
        (0x00000001, 0x00000000, True, False),  # an old driver, without V4L2_CAP_DEVICE_CAPS
        (0x84201000, 0x04201000, True, False),  # multi-planar, as on phones and boards
    ],
)
def test_capability_is_read(all_nodes: int, this_node: int, captures: bool, outputs: bool) -> None:
    reply = parse_capability(answer("uvcvideo", "HD Webcam", all_nodes, this_node))
    planes = this_node == 0x04201000
    assert reply == Capability("uvcvideo", "HD Webcam", "usb-1", captures, outputs, planes)


def test_a_node_is_queried() -> None:
    reply = capability(FakeNode(FakeDevice(card="Cam\u00e9ra", bus="usb-2")))
    assert (reply.card, reply.bus, reply.captures, reply.virtual) == (
        "Cam\u00e9ra",
        "usb-2",
        True,
        False,
    )


def test_a_file_is_no_video_device(tmp_path: Path) -> None:
    put(tmp_path / "video0")
    with VideoNode(str(tmp_path / "video0")) as node, pytest.raises(OSError, match="ioctl"):
        capability(node)


def test_a_node_is_closed_once(tmp_path: Path) -> None:
    put(tmp_path / "video0")
    node = VideoNode(str(tmp_path / "video0"))
    node.close()
    node.close()
    with pytest.raises(OSError, match="closed"):
        capability(node)
    assert not node.is_at(str(tmp_path / "video0"))


def test_a_path_that_leads_elsewhere_is_seen() -> None:
    with VideoNode("/dev/null") as node:
        assert node.is_at("/dev/null")
        assert not node.is_at("/dev/zero")
        assert not node.is_at("/dev/no-such-device")


def test_a_node_waits_for_nothing_and_is_not_inherited(tmp_path: Path) -> None:
    put(tmp_path / "video0")
    with VideoNode(str(tmp_path / "video0")) as node:
        assert not os.get_inheritable(node._fileno())
        assert not os.get_blocking(node._fileno())
    with pytest.raises(OSError) as caught:
        VideoNode(str(tmp_path / "video1"))
    assert caught.value.errno == errno.ENOENT


# --- who has it open ------------------------------------------------------------------------------


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write processes 7 to 9; 9 is this one, and 10 belongs to another user."""
    files = {
        "7": ("zoom", ["/dev/video0", "/dev/video0"]),
        "8": ("bash", ["/dev/null", "/dev/video1"]),
        "9": ("vidbg", ["/dev/video0", "/dev/video1"]),
    }
    for pid, (name, targets) in files.items():
        put(tmp_path / pid / "comm", name + "\n")
        (tmp_path / pid / "fd").mkdir()
        for number, target in enumerate(targets):
            (tmp_path / pid / "fd" / str(number)).symlink_to(target)
    put(tmp_path / "10/comm", "gone meanwhile")
    put(tmp_path / "uptime", "1 2")
    monkeypatch.setattr("os.getpid", lambda: 9)
    return tmp_path


def test_holders_are_found_by_their_open_files(proc: Path) -> None:
    assert holders("/dev/video0", proc) == ["zoom (pid 7)"]
    assert holders("/dev/video2", proc) == []


def test_open_files_are_counted(proc: Path) -> None:
    both = ["/dev/video0", "/dev/video1"]
    assert opened_by_others(both, proc) == {"/dev/video0": 2, "/dev/video1": 1}
    assert opened_by_us(both, proc) == 2
    assert opened_by_us(both[:1], proc) == 1


def test_our_own_files_are_seen() -> None:
    with VideoNode("/dev/null"):
        assert opened_by_us(["/dev/null"]) >= 1
