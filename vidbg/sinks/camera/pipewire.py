"""A camera for programs that use PipeWire (browsers, OBS), without a kernel module."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.platform.packages import install_step
from vidbg.sinks.newest_frame_sink import STALL_S
from vidbg.sinks.stream.child_process import ChildProcessSink

_PACKAGES = {
    "debian": "gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-pipewire",
    "fedora": "gstreamer1 gstreamer1-plugins-base pipewire-gstreamer",
    "arch": "gstreamer gst-plugins-base gst-plugin-pipewire",
}
_ELEMENTS = ("rawvideoparse", "videoconvert", "pipewiresink")
_INSPECT_S = 20.0  # the first call after an installation scans every plugin


class PipeWireSink(ChildProcessSink):
    """A camera for other programs, provided through gst-launch and PipeWire.

    Readers may connect and disconnect at any time; frames without a reader are discarded.

    Args:
        info: of the frames; 30 frames per second if it has no rate.
        name: of the camera in other programs.
    Raises:
        ConfigError: PipeWire does not accept the name.
        SinkError: GStreamer, its plugin or PipeWire is missing, with the next step; or, while
            writing, PipeWire has gone.
    """

    def __init__(self, info: StreamInfo, name: str = "vidbg") -> None:
        if not name.isprintable() or any(character in name for character in '"\\'):
            raise ConfigError(
                f"{name!r} cannot be a camera's name; allowed are printable characters "
                "except quotes and backslashes"
            )
        problem = pipewire_problem()
        if problem is not None:
            raise SinkError(f"the PipeWire camera cannot be opened: {problem}")
        self._daemon = _connection()
        try:
            super().__init__(
                f"the PipeWire camera {name}",
                info,
                _command(info, name),
                advice="Check PipeWire with `systemctl --user status pipewire wireplumber`",
                stall_s=STALL_S,
            )
        except BaseException:
            self._daemon.close()
            raise

    def show_frame(self, frame: Frame) -> None:
        try:
            ended = not self._daemon.recv(1)
        except BlockingIOError:
            ended = False
        except OSError:
            ended = True
        if ended and self._failure is None:
            self._failure = ConnectionResetError("PipeWire has ended")
        super().show_frame(frame)

    def release(self) -> None:
        self._daemon.close()
        super().release()

    def summary(self, lines: Sequence[str]) -> str:
        """Return the first error or warning: gst-launch prints the cause before the effects."""
        return next((line for line in lines if "ERROR" in line or "WARNING" in line), "")


def pipewire_problem() -> str | None:
    """Return why PipeWire cannot be used here, with the next step; None if it can."""
    if sys.platform != "linux":
        return "PipeWire exists on Linux only; choose a virtual camera instead"
    if shutil.which("gst-launch-1.0") is None:
        return f"gst-launch-1.0 is not installed: {install_step(_PACKAGES)}"
    missing = [element for element in _ELEMENTS if not _has(element)]
    if missing:
        return f"GStreamer has no {' and no '.join(missing)}: {install_step(_PACKAGES)}"
    try:
        _connection().close()
    except SinkError as error:
        return str(error)
    return None


def _has(element: str) -> bool:
    # By default it requires GStreamer's own version, which PipeWire's plugin never has.
    command = ["gst-inspect-1.0", "--exists", "--atleast-version=0.0", element]
    try:
        return subprocess.run(command, capture_output=True, timeout=_INSPECT_S).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _connection() -> socket.socket:
    """Open an idle connection to PipeWire.

    It closes when PipeWire exits; gst-launch does not notice that (seen with 0.3.65).
    """
    folder = os.environ.get("PIPEWIRE_RUNTIME_DIR") or os.environ.get("XDG_RUNTIME_DIR")
    if not folder:
        raise SinkError(
            "XDG_RUNTIME_DIR is not set, so PipeWire cannot be found: run vidbg as the desktop "
            "user, without sudo"
        )
    path = Path(folder) / (os.environ.get("PIPEWIRE_REMOTE") or "pipewire-0")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        raise SinkError(
            f"PipeWire does not answer at {path} ({error.strerror or error}): "
            "`systemctl --user start pipewire wireplumber`, as the desktop user"
        ) from None
    connection.setblocking(False)
    return connection


def _command(info: StreamInfo, name: str) -> list[str]:
    rate = info.frame_rate or Fraction(30)
    properties = f'p,media.class=Video/Source,media.role=Camera,node.name=\\"{name}\\"'
    properties += f',node.description=\\"{name}\\"'
    pipeline = (
        "fdsrc fd=0 do-timestamp=true",
        f"rawvideoparse format=bgr width={info.width} height={info.height} "
        f"framerate={rate.numerator}/{rate.denominator}",
        "videoconvert",
        "video/x-raw,format=YUY2",
        "identity drop-allocation=true",  # or the sink stalls with PipeWire 0.3.65
    )
    elements = " ! ".join(pipeline).split()
    sink = ["pipewiresink", "mode=provide", f'stream-properties="{properties}"']
    return ["gst-launch-1.0", "-q", *elements, "!", *sink]
