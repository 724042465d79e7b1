"""Linux video nodes (/dev/video*): their capabilities, and the programs that have them open.

The ioctl numbers and layouts, here and wherever this package calls VideoNode.ioctl, are those of
linux/videodev2.h on 64-bit Linux; tests/sources/test_video_nodes.py checks them against the header.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from vidbg.platform.system_files import content
from vidbg.util.lifecycle import Closeable
from vidbg.util.paths import resolved

QUERYCAP = 0x80685600  # VIDIOC_QUERYCAP: _IOR('V', 0, struct v4l2_capability)
CAPABILITY = struct.Struct("=16s32s32sIII12x")
_CAPTURE, _CAPTURE_MPLANE, _OUTPUT = 0x1, 0x1000, 0x2  # V4L2_CAP_VIDEO_...
_HAS_DEVICE_CAPS = 0x80000000
_LOOPBACK = "v4l2 loopback"


class VideoNode(Closeable):
    """An open video node, without a stream and without waiting.

    Raises:
        OSError: it is not there or may not be opened.
    """

    def __init__(self, device: str) -> None:
        self._handle: int | None = os.open(device, os.O_RDWR | os.O_NONBLOCK)

    def ioctl(self, request: int, argument: bytearray) -> None:
        """Pass a structure to the driver, which fills it in; OSError if it refuses."""
        import fcntl

        fcntl.ioctl(self._fileno(), request, argument)

    def is_at(self, device: str) -> bool:
        """Return whether the path still leads to this device."""
        try:
            return os.stat(device).st_rdev == os.fstat(self._fileno()).st_rdev  # noqa: PTH116
        except OSError:
            return False

    def _fileno(self) -> int:
        if self._handle is None:
            raise OSError("the video node is closed")
        return self._handle

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


OpenNode = Callable[[str], VideoNode]


@dataclass(frozen=True, slots=True)
class Capability:
    """A video node's answer to VIDIOC_QUERYCAP.

    Attributes:
        driver, card: the driver's name, and the device's as people know it.
        bus: where it is plugged in ("usb-0000:00:14.0-1"); "" where the driver does not tell.
        captures: the node delivers images (others deliver metadata or only accept images).
        outputs: the node accepts images.
        multiplanar: it captures only through the multi-planar interface.
    """

    driver: str
    card: str
    bus: str = ""
    captures: bool = False
    outputs: bool = False
    multiplanar: bool = False

    @property
    def virtual(self) -> bool:
        """Whether another program feeds this camera."""
        return self.driver == _LOOPBACK


def parse_capability(answer: bytes) -> Capability:
    """Read struct v4l2_capability (104 bytes)."""
    *names, _version, all_nodes, this_node = CAPABILITY.unpack(answer)
    flags = this_node if all_nodes & _HAS_DEVICE_CAPS else all_nodes
    driver, card, bus = (name.split(b"\0", 1)[0].decode(errors="replace") for name in names)
    return Capability(
        driver,
        card,
        bus,
        captures=bool(flags & (_CAPTURE | _CAPTURE_MPLANE)),
        outputs=bool(flags & _OUTPUT),
        multiplanar=bool(flags & _CAPTURE_MPLANE) and not flags & _CAPTURE,
    )


def capability(node: VideoNode) -> Capability:
    """Ask an open node what it is; OSError if it is not a video device or is gone."""
    answer = bytearray(CAPABILITY.size)
    node.ioctl(QUERYCAP, answer)
    return parse_capability(bytes(answer))


def fourcc(code: bytes) -> str:
    """Return the four letters of a pixel format; "" if they are not printable."""
    letters = code.decode("latin-1")
    return letters if letters.isascii() and letters.isprintable() else ""


def holders(device: str, proc: Path = Path("/proc")) -> list[str]:
    """List the visible programs that have the node open, as "name (pid 123)"."""
    target = str(resolved(device))  # /dev/v4l/by-id/... are links
    return sorted(
        f"{content(process / 'comm') or '?'} (pid {process.name})"
        for process in _others(proc)
        if target in _open_files(process)
    )


def opened_by_others(devices: Collection[str], proc: Path = Path("/proc")) -> Counter[str]:
    """Count how often other visible processes have each device open."""
    files = (file for process in _others(proc) for file in _open_files(process))
    return Counter(file for file in files if file in devices)


def opened_by_us(devices: Collection[str], proc: Path = Path("/proc")) -> int:
    """Count how often this process has any of the devices open."""
    return sum(file in devices for file in _open_files(proc / str(os.getpid())))


def _others(proc: Path) -> Iterator[Path]:
    return (process for process in proc.glob("[0-9]*") if int(process.name) != os.getpid())


def _open_files(process: Path) -> Iterator[str]:
    try:
        handles = list(os.scandir(process / "fd"))
    except OSError:  # another user's process, or one that has ended
        return
    for handle in handles:
        try:
            yield os.readlink(handle.path)  # noqa: PTH115  (Path doubles the time of a scan)
        except OSError:
            continue
