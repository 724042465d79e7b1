"""Camera lookup by number, path or name, including after the camera was disconnected."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Unpack

from vidbg.errors import SourceError
from vidbg.platform.video_nodes import opened_by_us
from vidbg.sources.camera import v4l2
from vidbg.sources.camera.camera_source import CameraOptions, CameraSource, list_cameras
from vidbg.sources.camera.v4l2 import CameraInfo
from vidbg.util.paths import resolved

OUR_LABEL = "vidbg"
"""The label of the virtual camera that vidbg's own advice creates (see sinks.loopback)."""

_OURS = "{} is what vidbg writes to, not a camera to read from: choose another camera"

_log = logging.getLogger(__name__)


class RememberedCamera:
    """A camera as the user named it, which can be reopened as the same device.

    The first successful opening is remembered. If the number later is gone or belongs to another
    device, the camera of the same name in the same plug is used, or one of the same name that was
    not there at first.

    Args:
        device: the camera's number; on Linux also its path, its name, or a part of its name that
            fits no other (capitals do not matter).
        cameras: lists the cameras of this computer.
    """

    def __init__(
        self, device: int | str, cameras: Callable[[], Sequence[CameraInfo]] = list_cameras
    ) -> None:
        self._device = device
        self._cameras = cameras
        self._known: CameraInfo | None = None
        self._beside: frozenset[str] = frozenset()

    def open(self, **options: Unpack[CameraOptions]) -> CameraSource:
        """Open the camera.

        Args:
            options: as for CameraSource.
        Raises:
            SourceError: no camera or several match (the message lists the cameras), the
                camera is disconnected, or it does not open.
        """
        linux = sys.platform == "linux"  # other systems give numbers only
        cameras = self._cameras() if linux else []
        camera = self._find(cameras) if linux else None
        if camera is not None and camera.virtual and opened_by_us([camera.device]):
            raise SourceError(_OURS.format(camera))
        source = CameraSource(self._device if camera is None else camera.device, **options)
        if camera is not None:
            # Remember which camera it was, and which others were there
            if self._known is None:
                self._beside = frozenset(other.bus for other in cameras if other.bus != camera.bus)
                if camera.virtual:
                    _log.warning(
                        "%s is a virtual camera: it shows what another program writes", camera
                    )
            elif self._known.device != camera.device:
                _log.warning("camera %s is back as %s", self._known, camera.device)
            self._known = camera
        return source

    def _find(self, cameras: Sequence[CameraInfo]) -> CameraInfo:
        """Find the camera as it was named, or the one that was opened before."""
        # A path such as /dev/v4l/by-id/... stays with the camera.
        is_link = isinstance(self._device, str) and Path(self._device).is_symlink()
        if self._known is None or is_link:
            return find_camera(self._device, cameras)
        # Find the camera that was opened before, whatever its number is now.
        namesakes = [camera for camera in cameras if camera.name == self._known.name]
        same_plug = [camera for camera in namesakes if camera.bus == self._known.bus]
        same_node = [camera for camera in same_plug if camera.device == self._known.device]
        new = [camera for camera in namesakes if camera.bus not in self._beside]
        for matches in (same_node, same_plug, new):
            if len(matches) == 1:
                return matches[0]
        raise SourceError(
            f"camera {self._known} is away: plug it in again. {_what_there_is(cameras)}"
        )


def find_camera(device: int | str, cameras: Sequence[CameraInfo]) -> CameraInfo:
    """Find the camera that the user named, on Linux.

    A part of a name that matches a real camera never selects a virtual one; vidbg's own virtual
    camera is selected only by its path or its whole name.

    Raises:
        SourceError: no camera or several match; the message lists the cameras.
    """
    wanted = str(device)
    if wanted.isdecimal():
        camera = _at(f"/dev/video{wanted}", cameras)
        if camera.virtual and camera.name == OUR_LABEL:
            raise SourceError(
                f"{_OURS.format(camera)}; to read what another vidbg writes, give its path, "
                f"{camera.device}"
            )
        return camera
    if "/" in wanted:
        return _at(wanted, cameras)
    exact = [camera for camera in cameras if camera.name == wanted]
    part = [camera for camera in cameras if wanted.casefold() in camera.name.casefold()]
    real = [camera for camera in part if not camera.virtual]
    matches = exact or real or [camera for camera in part if camera.name != OUR_LABEL]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise SourceError(
            f"{wanted!r} fits several cameras: {', '.join(map(str, matches))}. "
            "Give more of the name, or a path"
        )
    raise SourceError(f"there is no camera named {wanted!r}. {_what_there_is(cameras)}")


def _at(path: str, cameras: Sequence[CameraInfo]) -> CameraInfo:
    target = str(resolved(path))  # /dev/v4l/by-id/... are links
    for camera in cameras:
        if camera.device == target:
            return camera
    if Path(target).exists() and (reason := v4l2.refusal(target)) is not None:
        raise SourceError(reason)
    raise SourceError(f"there is no camera {path}. {_what_there_is(cameras)}")


def _what_there_is(cameras: Sequence[CameraInfo]) -> str:
    if not cameras:
        return "This computer has no camera now"
    return f"This computer has {', '.join(map(str, cameras))}"
