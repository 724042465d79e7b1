"""Cameras on Linux: their list, their formats, and the reason why one does not open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vidbg.platform.system_files import content
from vidbg.platform.video_nodes import OpenNode, VideoNode, capability
from vidbg.sources.camera.camera_formats import CameraFormat, formats

_NO_PERMISSION = (
    "no permission to open the camera {}. Add yourself to its group with "
    "`sudo usermod -aG video $USER`, then log out and in"
)


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera of this computer.

    Attributes:
        index: the number by which it is opened.
        device: its path ("/dev/video0") on Linux, elsewhere the number as text.
        name: its product name; "camera 0" if the system does not report it.
        virtual: another program feeds it (v4l2loopback).
        problem: why it cannot be opened now, with the next step; None if it can.
        bus: where it is plugged in ("usb-0000:00:14.0-1"); "" if the system does not report it.
        formats: its formats; empty if the system does not report them.
    """

    index: int
    device: str
    name: str
    virtual: bool = False
    problem: str | None = None
    bus: str = ""
    formats: tuple[CameraFormat, ...] = ()

    def __str__(self) -> str:
        return f"{self.device} ({self.name}{', virtual' if self.virtual else ''})"


def cameras(root: Path = Path("/"), open_node: OpenNode = VideoNode) -> Iterator[CameraInfo]:
    """List the capture nodes in /sys/class/video4linux, by number."""
    nodes = (root / "sys/class/video4linux").glob("video*")
    for entry in sorted(nodes, key=lambda entry: int(entry.name[5:])):
        index, device = int(entry.name[5:]), f"/dev/{entry.name}"
        name = content(entry / "name") or f"camera {index}"
        try:
            with open_node(device) as node:
                found = capability(node)
                offer = formats(node, found) if found.captures else ()
        except PermissionError:
            # If the node cannot be queried, only a device's first node is assumed to be its camera
            if content(entry / "index") in ("", "0"):
                yield CameraInfo(index, device, name, problem=_NO_PERMISSION.format(device))
        except OSError as error:
            yield CameraInfo(index, device, name, problem=f"{device} does not answer: {error}")
        else:
            if found.captures:
                yield CameraInfo(index, device, name, found.virtual, bus=found.bus, formats=offer)


def refusal(device: str, open_node: OpenNode = VideoNode) -> str | None:
    """Return why this node cannot be opened as a camera, with the next step; None if it can."""
    if not Path(device).exists():
        return f"there is no camera {device}. Plug it in, or choose one that `vidbg devices` lists"
    try:
        with open_node(device) as node:
            capabilities = capability(node)
    except PermissionError:
        return _NO_PERMISSION.format(device)
    except OSError as error:
        return f"{device} is not a camera ({error.strerror}). `vidbg devices` lists the cameras"
    if not capabilities.captures:
        return (
            f"{device} ({capabilities.card}) gives no pictures: it is a metadata or an output "
            "node. `vidbg devices` lists the cameras"
        )
    return None
