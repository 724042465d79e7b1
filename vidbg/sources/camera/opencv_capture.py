"""Opening of cameras by OpenCV, and what to do about one that does not open."""

from __future__ import annotations

from typing import Any

from vidbg.errors import CameraBlocked, SourceError
from vidbg.platform.video_nodes import holders
from vidbg.sources.camera import v4l2
from vidbg.util.paths import resolved
from vidbg.util.quiet_opencv import quiet_opencv

_APIS = {
    "linux": ("CAP_V4L2",),
    "win32": ("CAP_DSHOW", "CAP_MSMF"),
    "darwin": ("CAP_AVFOUNDATION",),
}
_BUSY = {
    "linux": "close the other program that uses it (browser tab, meeting, OBS)",
    "win32": "close the other program that uses it, and allow desktop apps the camera under "
    "Settings > Privacy & security > Camera",
    "darwin": "allow your terminal the camera under System Settings > Privacy & Security > Camera, "
    "then start it again",
}


def open_capture(device: int | str, platform: str) -> tuple[str, Any]:
    """Open a camera.

    Args:
        device: its number, or on Linux its path.
        platform: the system, as `sys.platform` names it.
    Returns:
        The camera's name for messages, and an open cv2.VideoCapture.
    Raises:
        SourceError: there is no such camera, it may not be opened, or another program holds it.
    """
    is_number = isinstance(device, int) or device.isdecimal()
    name, target = str(device), str(device)
    if platform == "linux":
        name = f"/dev/video{device}" if is_number else str(device)
        target = str(resolved(name))  # /dev/v4l/by-id/... are links
        reason = v4l2.refusal(target)
        if reason is not None:
            raise SourceError(reason)
    elif not is_number:
        raise SourceError(
            f"there is no camera {device!r}: give its number, 0 for the first. "
            "`vidbg devices` lists the cameras"
        )
    capture = try_open(target if platform == "linux" else int(target), platform)
    if capture is not None:
        return name, capture
    others = holders(target) if platform == "linux" else []
    if others:
        raise SourceError(
            f"camera {name} is in use by {', '.join(others)}: close that program first"
        )
    hint = _BUSY.get(platform, "close the other program that uses it")
    raise CameraBlocked(
        f"camera {name} does not open: it is busy, forbidden or absent. Next: {hint}; "
        "`vidbg devices` lists the cameras"
    )


def try_open(target: int | str, platform: str) -> Any | None:
    """Return an open cv2.VideoCapture for a camera's number or path; None if it does not open."""
    import cv2

    with quiet_opencv():
        for api in _APIS.get(platform, ("CAP_ANY",)):
            capture = cv2.VideoCapture(target, getattr(cv2, api))
            if capture.isOpened():
                return capture
    return None


def no_picture(name: str, platform: str) -> SourceError:
    """Return the error for an open camera that gives no picture.

    Args:
        name: as `open_capture` returns it.
    """
    others = holders(name) if platform == "linux" else []
    rival = f" ({', '.join(others)} has it open too)" if others else ""
    return (SourceError if others else CameraBlocked)(
        f"camera {name} gave no picture{rival}: it was unplugged, sleeps, or another program "
        "took it. Check its cable, close other programs, and see `vidbg devices`"
    )
