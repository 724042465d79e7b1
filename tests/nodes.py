"""Video nodes without a kernel: the structures of linux/videodev2.h, and two drivers.

The structures are ctypes', aligned by the compiler's rules: they are no copy of what vidbg packs.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Mapping
from ctypes import c_int32, c_int64, c_uint8, c_uint32, c_uint64
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from vidbg.platform.video_nodes import VideoNode

Rates = list[tuple[int, int]]  # numerators and denominators of intervals, as the drivers tell them
CAPTURE, OUTPUT, DEVICE_CAPS = 0x1, 0x2, 0x80000000


class V4l2Capability(ctypes.Structure):
    _fields_ = (
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class V4l2Fmtdesc(ctypes.Structure):
    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("description", ctypes.c_char * 32),
        ("pixelformat", c_uint32),
        ("mbus_code", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class V4l2Frmsizeenum(ctypes.Structure):
    _fields_ = (
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("type", c_uint32),
        ("stepwise", c_uint32 * 6),  # or discrete: width, height
        ("reserved", c_uint32 * 2),
    )


class V4l2Frmivalenum(ctypes.Structure):
    _fields_ = (
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("type", c_uint32),
        ("stepwise", c_uint32 * 6),  # or discrete: numerator, denominator
        ("reserved", c_uint32 * 2),
    )


class V4l2PixFormat(ctypes.Structure):
    _fields_ = (
        ("width", c_uint32),
        ("height", c_uint32),
        ("pixelformat", c_uint32),
        ("field", c_uint32),
        ("bytesperline", c_uint32),
        ("sizeimage", c_uint32),
    )


class _FormatUnion(ctypes.Union):
    _fields_ = (("pix", V4l2PixFormat), ("raw_data", c_uint8 * 200), ("pointer", ctypes.c_void_p))


class V4l2Format(ctypes.Structure):
    _fields_ = (("type", c_uint32), ("fmt", _FormatUnion))


class V4l2Control(ctypes.Structure):
    _fields_ = (("id", c_uint32), ("value", c_int32))


class V4l2EventSubscription(ctypes.Structure):
    _fields_ = (
        ("type", c_uint32),
        ("id", c_uint32),
        ("flags", c_uint32),
        ("reserved", c_uint32 * 5),
    )


class _EventUnion(ctypes.Union):
    _fields_ = (("count", c_uint32), ("data", c_uint8 * 64), ("value64", c_int64))


class V4l2Event(ctypes.Structure):
    _fields_ = (
        ("type", c_uint32),
        ("u", _EventUnion),
        ("pending", c_uint32),
        ("sequence", c_uint32),
        ("timestamp", c_uint64 * 2),
        ("id", c_uint32),
        ("reserved", c_uint32 * 8),
    )


def code(fourcc: str) -> int:
    """v4l2_fourcc()."""
    return int.from_bytes(fourcc.encode(), "little")


def refuse(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@dataclass
class FakeDevice:
    """A camera of uvcvideo, or whatever its fields make of it.

    Attributes:
        offers: for each pixel format its sizes, as (width, height) or a stepwise range of six
            numbers, with their intervals; a string for kind "continuous".
        failure: what every ioctl fails with.
        present: its path still leads to it.
    """

    card: str = "HD Webcam"
    driver: str = "uvcvideo"
    bus: str = "usb-0000:00:14.0-1"
    caps: int = CAPTURE
    offers: Mapping[str, Mapping[tuple[int, ...], Rates]] = field(default_factory=dict)
    kind: int = 1  # of the offered buffers: V4L2_BUF_TYPE_VIDEO_CAPTURE
    failure: int | None = None
    present: bool = True
    opened: int = 0

    def ioctl(self, request: int, argument: bytearray) -> None:
        if self.failure is not None:
            raise refuse(self.failure)
        answers: dict[int, Callable[[Any], None]] = self.answers()
        if request not in answers:
            raise refuse(errno.ENOTTY)
        answers[request](argument)

    def answers(self) -> dict[int, Callable[[Any], None]]:
        return {
            0x80685600: self.query,
            0xC0405602: self.enumerate_formats,
            0xC02C564A: self.enumerate_sizes,
            0xC034564B: self.enumerate_intervals,
        }

    def query(self, argument: bytearray) -> None:
        reply = V4l2Capability.from_buffer(argument)
        reply.driver, reply.card = self.driver.encode(), self.card.encode()
        reply.bus_info = self.bus.encode()
        reply.capabilities, reply.device_caps = 0x84A00001 | DEVICE_CAPS, self.caps | 0x04200000

    def enumerate_formats(self, argument: bytearray) -> None:
        reply = V4l2Fmtdesc.from_buffer(argument)
        if reply.type != self.kind or reply.index >= len(self.offers):
            raise refuse(errno.EINVAL)
        reply.pixelformat, reply.description = code(list(self.offers)[reply.index]), b"Some format"

    def enumerate_sizes(self, argument: bytearray) -> None:
        reply = V4l2Frmsizeenum.from_buffer(argument)
        sizes = list(self.sizes(reply.pixel_format))
        if reply.index >= len(sizes):
            raise refuse(errno.EINVAL)
        size = sizes[reply.index]
        reply.type = 1 if len(size) == 2 else 3
        reply.stepwise[: len(size)] = size

    def enumerate_intervals(self, argument: bytearray) -> None:
        reply = V4l2Frmivalenum.from_buffer(argument)
        for size, rates in self.sizes(reply.pixel_format).items():
            largest = size if len(size) == 2 else (size[1], size[4])
            if largest == (reply.width, reply.height) and reply.index < len(rates):
                reply.type, reply.stepwise[:2] = 1, rates[reply.index]
                return
        raise refuse(errno.EINVAL)

    def sizes(self, pixel_format: int) -> Mapping[tuple[int, ...], Rates]:
        return next((s for name, s in self.offers.items() if code(name) == pixel_format), {})

    def closed(self, node: FakeNode) -> None:
        """Do what the driver does when a node is closed."""


class FakeNode(VideoNode):
    """An open node of a FakeDevice."""

    def __init__(self, device: FakeDevice) -> None:
        self.device, self.open = device, True
        self.streams = False
        self.events: list[int] | None = None
        device.opened += 1

    def ioctl(self, request: int, argument: bytearray) -> None:
        assert self.open
        if isinstance(self.device, FakeLoopback):
            self.device.asked_by = self
        self.device.ioctl(request, argument)

    def is_at(self, device: str) -> bool:  # noqa: ARG002
        return self.device.present

    def close(self) -> None:
        if self.open:
            self.open = False
            self.device.opened -= 1
            self.device.closed(self)


@dataclass
class FakeLoopback(FakeDevice):
    """A device of v4l2loopback with exclusive_caps=1, as its sources and a real one behave.

    Attributes:
        old: module 0.12, else 0.15.
        format: (width, height, FOURCC) that it has.
        written: somebody writes, without pyvirtualcam's forgetting.
        used_up: 0.12 after pyvirtualcam.
        readers: how many stream.
    """

    card: str = "vidbg"
    driver: str = "v4l2 loopback"
    bus: str = "platform:v4l2loopback-000"
    old: bool = False
    format: tuple[int, int, str] = (640, 480, "YU12")
    written: bool = False
    used_up: bool = False
    keep_format: bool = False
    readers: int = 0
    asked_by: FakeNode | None = None
    nodes: list[FakeNode] = field(default_factory=list)

    @property
    def locked(self) -> bool:
        return self.keep_format or self.readers > 0 or self.written

    def answers(self) -> dict[int, Callable[[Any], None]]:
        loopback = {
            0xC0D05604: self.get_format,
            0xC008561B: self.get_control,
            0x40045612: self.stream_on,
            0x4020565A: self.subscribe,
            0x80885659: self.dequeue,
        }
        return {**super().answers(), **loopback}

    def query(self, argument: bytearray) -> None:
        super().query(argument)
        reply = V4l2Capability.from_buffer(argument)
        if self.old:
            kept = CAPTURE if self.readers else 0
            caps = CAPTURE if self.written else kept if self.used_up else kept | OUTPUT
        else:
            caps = CAPTURE if self.written or self.keep_format else OUTPUT
        reply.device_caps = caps

    def get_format(self, argument: bytearray) -> None:
        reply = V4l2Format.from_buffer(argument)
        if not self.old and reply.type != (1 if self.written or self.keep_format else 2):
            raise refuse(errno.EINVAL)
        reply.fmt.pix.width, reply.fmt.pix.height = self.format[:2]
        reply.fmt.pix.pixelformat = code(self.format[2])

    def set_format(self, wanted: tuple[int, int, str]) -> None:
        """VIDIOC_S_FMT, whose answer pyvirtualcam does not read."""
        if not self.locked:
            self.format = wanted

    def get_control(self, argument: bytearray) -> None:
        control = V4l2Control.from_buffer(argument)
        if control.id != 0x0098F900:
            raise refuse(errno.EINVAL)
        control.value = int(self.keep_format)

    def stream_on(self, argument: bytearray) -> None:
        assert argument == bytearray(b"\x02\0\0\0")
        assert self.asked_by is not None
        if not self.old:
            raise refuse(errno.EINVAL)
        self.asked_by.streams, self.written = True, True

    def closed(self, node: FakeNode) -> None:
        if node.streams:  # 0.12: a writer, who gives the output back
            self.written = self.used_up = False

    def subscribe(self, argument: bytearray) -> None:
        asked = V4l2EventSubscription.from_buffer(argument)
        assert self.asked_by is not None
        if self.old or asked.type != 0x10E00001:
            raise refuse(errno.EINVAL)
        self.asked_by.events = [self.readers] if asked.flags == 1 else []
        self.nodes.append(self.asked_by)

    def dequeue(self, argument: bytearray) -> None:
        reply = V4l2Event.from_buffer(argument)
        assert self.asked_by is not None
        if not self.asked_by.events:
            raise refuse(errno.ENOENT)
        reply.type, reply.u.count = 0x10E00001, self.asked_by.events.pop(0)

    def read_by(self, readers: int) -> None:
        """Readers come or go."""
        self.readers = readers
        for node in self.nodes:
            assert node.events is not None
            node.events.append(min(readers, 1))


class Kernel(dict[str, FakeDevice | OSError]):
    """Devices by path; an error is what opening that path fails with."""

    def open(self, path: str) -> FakeNode:
        device = self.get(f"/dev/{Path(path).name}", refuse(errno.ENOENT))
        if isinstance(device, OSError):
            raise device
        return FakeNode(device)

    def lay_out(self, root: Path, version: str = "0.15.0", max_buffers: int = 2) -> None:
        """Write the files that Linux and a loaded v4l2loopback show for these devices."""
        module = root / "sys/module/v4l2loopback"
        put(module / "parameters/max_buffers", f"{max_buffers}\n")
        if version:  # 0.12 does not tell
            put(module / "version", f"{version}\n")
        for path, device in self.items():
            if isinstance(device, OSError) or device.driver == "v4l2 loopback":
                folder = root / "sys/devices/virtual/video4linux" / Path(path).name
                put(folder / "name", "vidbg\n" if isinstance(device, OSError) else device.card)
                put(folder / "max_openers", "10\n")
                put(root / path.lstrip("/"))


def put(file: Path, content: str = "") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


class FakePyvirtualcam(ModuleType):
    """pyvirtualcam on such devices: what it checks, what it forgets, what it is sent."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__("pyvirtualcam")
        self.kernel = kernel
        self.cameras: list[FakeCamera] = []
        self.PixelFormat = SimpleNamespace(BGR="BGR", YUYV="YUYV", UYVY="UYVY")
        self.refusal: str | None = None

    def Camera(
        self, width: int, height: int, fps: float, *, fmt: str, device: str | None
    ) -> FakeCamera:
        if self.refusal is not None:
            raise RuntimeError(self.refusal)
        device_found = None if device is None else self.kernel.get(device)
        node = device_found if isinstance(device_found, FakeDevice) else None
        if isinstance(node, FakeLoopback):
            reply = bytearray(ctypes.sizeof(V4l2Capability))
            node.query(reply)
            if not V4l2Capability.from_buffer(reply).device_caps & OUTPUT:
                raise RuntimeError(f"Device {device} is not a video output device.")
            node.set_format((width, height, {"BGR": "YU12"}.get(fmt, fmt)))
        camera = FakeCamera((width, height, fps, fmt, device), node)
        self.cameras.append(camera)
        return camera


class FakeCamera:
    """A pyvirtualcam.Camera that keeps what it is sent."""

    backend = "fake"

    def __init__(
        self, opened_as: tuple[int, int, float, str, str | None], node: FakeDevice | None
    ) -> None:
        self.opened_as, self.device = opened_as, opened_as[4] or "Fake Camera"
        self._node = node
        self.sent: list[Any] = []
        self.closed = 0

    def send(self, image: Any) -> None:
        self.sent.append(image)
        if isinstance(self._node, FakeLoopback):
            self._node.written = True

    def close(self) -> None:
        self.closed += 1
        if isinstance(self._node, FakeLoopback) and self.sent:
            self._node.written, self._node.used_up = False, self._node.old
