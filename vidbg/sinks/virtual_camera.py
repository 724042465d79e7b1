"""The virtual webcam, through pyvirtualcam: v4l2loopback, OBS or Unity Capture."""

from __future__ import annotations

import logging
import sys
import threading
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.live import LiveSink
from vidbg.sinks.loopback import LoopbackFacts, gather_facts, next_step, node_step

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
    """Shows frames to other programs as a webcam.

    Live frames go out at once. Frames of a file are held back until their pts is due, so that the
    file plays at its own speed; the first frame starts that clock.

    Args:
        info: of the frames; 30 frames per second are announced where it gives no rate.
        device: "/dev/video10" on Linux, the camera's name on Windows; None takes the first free.
    Raises:
        SinkError: no virtual camera can be had, with what to do on this operating system; or the
            frames' width or height is odd (the devices take 4:2:0 only).
    """

    def __init__(self, info: StreamInfo, *, device: str | None = None) -> None:
        super().__init__("the virtual camera", info.width, info.height)
        if info.width % 2 or info.height % 2:
            raise SinkError(
                f"the virtual camera takes even sizes only, not {info.width}x{info.height}: "
                "choose another --size"
            )
        self._pace = None if info.live else _Pace()
        self._camera = open_camera(
            info.width, info.height, info.frame_rate or Fraction(30), device, sys.platform
        )
        _log.info("virtual camera %s: %dx%d", self.device, info.width, info.height)

    @property
    def device(self) -> str:
        """The device's path, or its name where it has none: what to choose in the other program."""
        return str(self._camera.device)

    def _show(self, frame: Frame) -> None:
        if self._pace is not None:
            self._pace.wait(frame.pts)
        try:
            self._camera.send(frame.image)
        except (RuntimeError, OSError) as error:
            raise SinkError(
                f"the virtual camera {self.device} takes no more frames: {error}. Start again; "
                "`vidbg doctor` tells the state of the device"
            ) from error

    def _release(self) -> None:
        if self._pace is not None:
            self._pace.stop()
        self._camera.close()


class _Pace:
    """Holds a thread back until a pts is due; one who is late catches up without waiting."""

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
    """An open pyvirtualcam.Camera that takes BGR.

    On Linux the first free device is chosen here, for pyvirtualcam's own search stops at the
    first node without permission, be it a real camera's.
    """
    facts = gather_facts() if platform == "linux" else None
    if device is None and facts is not None:
        device = facts.free_device()
    try:
        import pyvirtualcam

        return pyvirtualcam.Camera(
            width, height, float(frame_rate), fmt=pyvirtualcam.PixelFormat.BGR, device=device
        )
    except ImportError as error:
        raise SinkError(f"pyvirtualcam is missing ({error}): `pip install pyvirtualcam`") from error
    except (RuntimeError, OSError) as error:
        raise SinkError(explain(str(error), device, facts, platform)) from error


def explain(refusal: str, device: str | None, facts: LoopbackFacts | None, platform: str) -> str:
    """One message from pyvirtualcam's refusal and the facts: what happened and the next step."""
    wanted = f"the virtual camera {device}" if device else "a virtual camera"
    advice = _advice(device, facts, platform)
    return f"{wanted} cannot be opened ({_one_line(refusal)}). Next: {advice}"


def _advice(device: str | None, facts: LoopbackFacts | None, platform: str) -> str:
    if facts is None:
        return _SETUP.get(platform, _SETUP_OTHERWISE)
    chosen = next((node for node in facts.nodes if node.device == device), None)
    if chosen is not None:
        return node_step(chosen)
    if device is not None and facts.nodes:
        names = ", ".join(node.device for node in facts.nodes)
        return f"choose one of the virtual cameras of this computer: {names}"
    return next_step(facts) or "`vidbg doctor` tells the state of the virtual cameras"


def _one_line(refusal: str) -> str:
    return "; ".join(line.strip() for line in refusal.splitlines() if line.strip()).rstrip(".")


@dataclass(frozen=True, slots=True)
class VirtualCameraReport:
    """Whether vidbg could show itself as a webcam now.

    Attributes:
        usable: yes.
        found: devices and modules, one line each.
        next_step: what to do where it could not; None where it could.
    """

    usable: bool
    found: tuple[str, ...]
    next_step: str | None


def virtual_camera_report() -> VirtualCameraReport:
    """Look, without writing a frame.

    On Linux this reads files only; elsewhere the camera is opened for a moment, because only
    pyvirtualcam knows whether it is there.
    """
    if sys.platform == "linux":
        return linux_report(gather_facts())
    return _tried(sys.platform)


def linux_report(facts: LoopbackFacts) -> VirtualCameraReport:
    module = f"v4l2loopback {facts.version}".rstrip() + f": {facts.module}"
    step = next_step(facts)
    return VirtualCameraReport(step is None, (module, *map(str, facts.nodes)), step)


def _tried(platform: str) -> VirtualCameraReport:
    try:
        camera = open_camera(640, 480, Fraction(30), None, platform)
    except SinkError as error:
        return VirtualCameraReport(False, (str(error.__cause__),), _advice(None, None, platform))
    try:
        return VirtualCameraReport(True, (f"{camera.device} ({camera.backend})",), None)
    finally:
        camera.close()
