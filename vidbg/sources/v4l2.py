"""What Linux says of its video devices: which of them are cameras, and why one does not open."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_QUERYCAP = 0x80685600  # VIDIOC_QUERYCAP: _IOR('V', 0, struct v4l2_capability), 104 bytes
_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_CAPTURES = 0x1 | 0x1000  # V4L2_CAP_VIDEO_CAPTURE, ..._MPLANE
_HAS_DEVICE_CAPS = 0x80000000
_LOOPBACK = "v4l2 loopback"


@dataclass(frozen=True, slots=True)
class Capability:
    """A device node's answer to VIDIOC_QUERYCAP.

    Attributes:
        driver, card: the driver's name, and the device's as people know it.
        captures: the node gives pictures (others give metadata or only take pictures).
    """

    driver: str
    card: str
    captures: bool

    @property
    def virtual(self) -> bool:
        """Another program feeds this camera."""
        return self.driver == _LOOPBACK


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera that this computer has.

    Attributes:
        index: the number by which it is opened.
        device: its path ("/dev/video0") on Linux, elsewhere the number as text.
        name: as people know it; "camera 0" where the system does not tell.
        virtual: another program feeds it (v4l2loopback).
        problem: why it cannot be opened now, with the next step; None if it can.
    """

    index: int
    device: str
    name: str
    virtual: bool = False
    problem: str | None = None


def parse_capability(answer: bytes) -> Capability:
    """Read struct v4l2_capability (104 bytes)."""
    driver, card, _bus, _version, all_nodes, this_node = _CAPABILITY.unpack(answer)
    flags = this_node if all_nodes & _HAS_DEVICE_CAPS else all_nodes
    return Capability(_text(driver), _text(card), bool(flags & _CAPTURES))


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode(errors="replace")


def query(device: str) -> Capability:
    """Ask a device node what it is; OSError if it cannot be opened or is no video device."""
    import fcntl

    answer = bytearray(_CAPABILITY.size)
    node = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(node, _QUERYCAP, answer)
    finally:
        os.close(node)
    return parse_capability(bytes(answer))


def cameras(
    root: Path = Path("/"), ask: Callable[[str], Capability] = query
) -> Iterator[CameraInfo]:
    """The capturing nodes of /sys/class/video4linux, by number."""
    nodes = (root / "sys/class/video4linux").glob("video*")
    for node in sorted(nodes, key=lambda node: int(node.name[5:])):
        camera = _camera(node, ask)
        if camera is not None:
            yield camera


def _camera(node: Path, ask: Callable[[str], Capability]) -> CameraInfo | None:
    """What is known of one node; None if it is no camera."""
    index, device = int(node.name[5:]), f"/dev/{node.name}"
    name = _content(node / "name") or f"camera {index}"
    try:
        capability = ask(device)
    except PermissionError:
        # Without asking, only the first of a device's nodes can be taken for its camera.
        first = _content(node / "index") in ("", "0")
        return CameraInfo(index, device, name, problem=_no_permission(device)) if first else None
    except OSError as error:
        return CameraInfo(index, device, name, problem=f"{device} does not answer: {error}")
    return CameraInfo(index, device, name, capability.virtual) if capability.captures else None


def _content(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


def refusal(device: str, ask: Callable[[str], Capability] = query) -> str | None:
    """Why this node will not open as a camera, with the next step; None if nothing forbids it."""
    if not Path(device).exists():
        return f"there is no camera {device}. Plug it in, or choose one that `vidbg devices` lists"
    try:
        capability = ask(device)
    except PermissionError:
        return _no_permission(device)
    except OSError as error:
        return f"{device} is no camera ({error.strerror}). `vidbg devices` lists the cameras"
    if not capability.captures:
        return (
            f"{device} ({capability.card}) gives no pictures: it is a metadata or an output "
            "node. `vidbg devices` lists the cameras"
        )
    return None


def _no_permission(device: str) -> str:
    return (
        f"no permission to open the camera {device}. Add yourself to its group with "
        "`sudo usermod -aG video $USER`, then log out and in"
    )


def holders(device: str, proc: Path = Path("/proc")) -> list[str]:
    """The programs that have the node open, as "name (pid 123)"; only those that we may look at."""
    found, device = [], str(Path(device).resolve())  # /dev/v4l/by-id/... are links
    for process in proc.glob("[0-9]*"):
        if int(process.name) != os.getpid() and _holds(process, device):
            found.append(f"{_content(process / 'comm') or '?'} (pid {process.name})")
    return sorted(found)


def _holds(process: Path, device: str) -> bool:
    try:
        return any(str(handle.readlink()) == device for handle in (process / "fd").iterdir())
    except OSError:  # another user's, or gone meanwhile
        return False
