"""The virtual webcam, through pyvirtualcam: v4l2loopback, OBS or Unity Capture."""

from __future__ import annotations

import logging
import sys
import threading
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.platform.video_nodes import VideoNode
from vidbg.sinks.camera.loopback import (
    LoopbackFacts,
    LoopbackNode,
    gather_facts,
    next_step,
    node_step,
    warnings,
)
from vidbg.sinks.camera.loopback_camera import LoopbackCamera, revive
from vidbg.sinks.live_sink import LiveSink

_log = logging.getLogger(__name__)

_SETUP = {
    "win32": "install OBS Studio 28 or newer (https://obsproject.com), which brings the OBS "
    "Virtual Camera; stop that camera inside OBS while vidbg runs. Without OBS: install Unity "
    "Capture (https://github.com/schellingb/UnityCapture)",
    "darwin": "install OBS Studio 30 or newer (https://obsproject.com), press Start Virtual Camera "
    "in it once, allow its extension under System Settings > Privacy & Security, then stop the "
    "camera and quit OBS",
}
_SETUP_OTHERWISE = (
    "vidbg knows virtual cameras on Linux, Windows and macOS: write to a file or pipe"
)


class VirtualCameraSink(LiveSink):
    """A virtual webcam for other programs.

    Live frames are sent at once. Frames of a file are held until their pts is due, so the file
    plays at its own speed; the first frame starts the clock.

    Args:
        info: of the frames; 30 frames per second are announced if it has no rate.
        device: "/dev/video10" on Linux, the camera's name on Windows; None takes the first free.
    Raises:
        SinkError: no virtual camera is available, with what to do on this system; or the
            frames' width or height is odd (the devices take 4:2:0 only).
    """

    def __init__(self, info: StreamInfo, device: str | None = None) -> None:
        super().__init__("the virtual camera", info.width, info.height)
        if info.width % 2 or info.height % 2:
            raise SinkError(
                f"the virtual camera takes even sizes only, not {info.width}x{info.height}: "
                "choose another size"
            )
        self._pace = None if info.live else _Pace()
        self._camera = open_camera(
            info.width, info.height, info.frame_rate or Fraction(30), device, sys.platform
        )
        _log.info("virtual camera %s: %dx%d", self.device, info.width, info.height)

    @property
    def device(self) -> str:
        """The device's path, or its name if it has no path, to choose in the other program."""
        return str(self._camera.device)

    def show_frame(self, frame: Frame) -> None:
        if self._pace is not None:
            self._pace.wait(frame.pts)
        try:
            self._camera.send(frame.image)
        except (RuntimeError, OSError) as error:
            raise SinkError(
                f"the virtual camera {self.device} accepts no more frames: {error}. Start again; "
                "`vidbg doctor` shows the state of the device"
            ) from error

    def watched(self) -> bool | None:
        """Return whether a program reads from the camera; None if unknown."""
        return self._camera.watched() if isinstance(self._camera, LoopbackCamera) else None

    def release(self) -> None:
        if self._pace is not None:
            self._pace.stop()
        self._camera.close()


class _Pace:
    """A clock that makes a thread wait until a pts is due; late frames are not delayed."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._epoch: float | None = None

    def wait(self, pts: float) -> None:
        now = time.monotonic()
        if self._epoch is None:
            self._epoch = now - pts
        self._stopped.wait(max(0.0, self._epoch + pts - now))

    def stop(self) -> None:
        self._stopped.set()


def open_camera(
    width: int, height: int, frame_rate: Fraction, device: str | None, platform: str
) -> Any:
    """Open a LoopbackCamera on Linux, or a pyvirtualcam.Camera that takes BGR elsewhere.

    Raises:
        SinkError: no camera can be opened; the message says why and what to do.
    """
    if platform == "linux":
        return _open_loopback(width, height, frame_rate, device)
    try:
        return _pyvirtualcam(width, height, frame_rate, "BGR", device)
    except (RuntimeError, OSError) as error:
        raise SinkError(explain(str(error), device, None, platform)) from error


def _pyvirtualcam(
    width: int, height: int, frame_rate: Fraction, pixel_format: str, device: str | None
) -> Any:
    try:
        import pyvirtualcam
    except ImportError as error:
        raise SinkError(f"pyvirtualcam is missing ({error}): `pip install pyvirtualcam`") from error
    fmt = getattr(pyvirtualcam.PixelFormat, pixel_format)
    return pyvirtualcam.Camera(width, height, float(frame_rate), fmt=fmt, device=device)


def _open_loopback(
    width: int, height: int, frame_rate: Fraction, device: str | None
) -> LoopbackCamera:
    """Open a device of v4l2loopback, the first free one if none is named.

    pyvirtualcam never chooses the device: its search stops at the first node without permission,
    even a real camera's, and it leaves nodes open that it rejects.
    """
    facts = gather_facts()
    node = _writable(device or facts.free_device(), facts)

    def open_writer(width: int, height: int, pixel_format: str) -> Any:
        return _pyvirtualcam(width, height, frame_rate, pixel_format, node.device)

    try:
        return LoopbackCamera(node.device, width, height, open_writer, VideoNode)
    except (RuntimeError, OSError) as error:
        raise SinkError(explain(str(error), node.device, facts, "linux")) from error


def _writable(device: str | None, facts: LoopbackFacts) -> LoopbackNode:
    """Return a device that is free to write to, and free a used-up one first.

    Raises:
        SinkError: it cannot be, or is not a v4l2loopback device.
    """
    if device is None:
        raise SinkError(explain("none is free", None, facts, "linux"))
    node = facts.node(device)
    if node is None:
        there = "it is not a virtual camera" if Path(device).exists() else "it does not exist"
        raise SinkError(explain(there, device, facts, "linux"))
    free = node.state == "free"
    if node.state == "used up":
        try:
            free = revive(node.device, VideoNode)
        except OSError as error:
            _log.debug("%s cannot be revived: %s", node.device, error)
        if free:
            _log.info("freed %s, which its last writer had left unusable", node.device)
    if not free:
        raise SinkError(explain(node.situation, node.device, facts, "linux"))
    return node


def explain(refusal: str, device: str | None, facts: LoopbackFacts | None, platform: str) -> str:
    """Explain pyvirtualcam's error by the facts: what happened and the next step."""
    wanted = f"the virtual camera {device}" if device else "a virtual camera"
    advice = _advice(device, facts, platform)
    reason = "; ".join(line.strip() for line in refusal.splitlines() if line.strip()).rstrip(".")
    return f"{wanted} cannot be opened ({reason}). Next: {advice}"


def _advice(device: str | None, facts: LoopbackFacts | None, platform: str) -> str:
    if facts is None:
        return _SETUP.get(platform, _SETUP_OTHERWISE)
    chosen = None if device is None else facts.node(device)
    if chosen is not None:
        return node_step(chosen)
    if device is not None and facts.nodes:
        names = ", ".join(node.device for node in facts.nodes)
        return f"choose one of the virtual cameras of this computer: {names}"
    return next_step(facts) or "`vidbg doctor` shows the state of the virtual cameras"


@dataclass(frozen=True, slots=True)
class VirtualCameraReport:
    """A report on whether vidbg can provide a webcam now.

    Attributes:
        usable: whether it can.
        found: devices and modules, one line each.
        next_step: what to do if it cannot; None if it can.
        warnings: what should be changed anyway, each with its next step.
    """

    usable: bool
    found: tuple[str, ...]
    next_step: str | None
    warnings: tuple[str, ...] = ()


def virtual_camera_report() -> VirtualCameraReport:
    """Check the virtual camera without writing a frame.

    On Linux the devices are queried; elsewhere the camera is opened briefly,
    because only pyvirtualcam knows whether it is there.
    """
    if sys.platform == "linux":
        return linux_report(gather_facts())
    try:
        camera = open_camera(640, 480, Fraction(30), None, sys.platform)
    except SinkError as error:
        return VirtualCameraReport(
            False, (str(error.__cause__),), _advice(None, None, sys.platform)
        )
    try:
        return VirtualCameraReport(True, (f"{camera.device} ({camera.backend})",), None)
    finally:
        camera.close()


def linux_report(facts: LoopbackFacts) -> VirtualCameraReport:
    version = facts.version or ("0.12 or older" if facts.old else "")
    module = f"v4l2loopback {version}".rstrip() + f": {facts.module}"
    step = next_step(facts)
    lines = (module, *map(str, facts.nodes))
    return VirtualCameraReport(step is None, lines, step, tuple(warnings(facts)))
