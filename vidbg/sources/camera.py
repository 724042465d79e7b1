"""Cameras, through OpenCV: V4L2 on Linux, DirectShow on Windows, AVFoundation on macOS."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from vidbg.closing import Closing
from vidbg.errors import SourceError
from vidbg.frame import Frame, Image, StreamInfo
from vidbg.sources import v4l2
from vidbg.sources.v4l2 import CameraInfo

PixelFormat = Literal["auto", "MJPG", "YUYV"]

_log = logging.getLogger(__name__)

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
_UNCOMPRESSED_PIXELS = 640 * 480  # more than that at 30 FPS does not fit through USB 2 as YUYV
_MOST_CAMERAS = 10


@dataclass(frozen=True, slots=True)
class CameraMode:
    """How a camera delivers its pictures.

    Attributes:
        width, height: in pixels.
        frame_rate: frames per second; None where the driver does not tell.
        pixel_format: FOURCC, such as "MJPG" or "YUYV"; "" where the driver does not tell.
    """

    width: int
    height: int
    frame_rate: Fraction | None
    pixel_format: str

    def __str__(self) -> str:
        rate = f"{float(self.frame_rate):.4g} FPS" if self.frame_rate else "unknown FPS"
        return f"{self.width}x{self.height} at {rate}, {self.pixel_format or 'unknown format'}"

    def serves(self, asked: CameraMode) -> bool:
        """Whether this is what was asked for, as far as the driver tells."""
        same_size = (self.width, self.height) == (asked.width, asked.height)
        same_format = self.pixel_format in ("", asked.pixel_format)
        if self.frame_rate is None or asked.frame_rate is None:
            return same_size and same_format
        return same_size and same_format and abs(self.frame_rate - asked.frame_rate) < 0.5


class CameraSource(Closing):
    """Gives a camera's frames as they come.

    pts is the monotonic clock's time since the first frame, taken when a frame has arrived.
    Cameras grant what they can: `mode` tells what, and a warning what differs from the request.

    Args:
        device: the camera's number, or on Linux its path.
        width, height: size to ask for, in pixels.
        frame_rate: frames per second to ask for.
        pixel_format: how the camera is to send its pictures; "auto" takes MJPG above 640x480,
            where USB 2 has no room for uncompressed pictures, and YUYV up to there.
    Raises:
        SourceError: no such camera, no permission, held by another program, or no picture comes.
    """

    def __init__(
        self,
        device: int | str = 0,
        *,
        width: int = 1280,
        height: int = 720,
        frame_rate: Fraction = Fraction(30),
        pixel_format: PixelFormat = "auto",
    ) -> None:
        self._name, target = _resolve(device, sys.platform)
        self._closed = threading.Event()
        self._using = threading.Lock()
        self._index, self._epoch = 0, 0.0
        asked = CameraMode(width, height, frame_rate, _wanted(pixel_format, width, height))
        self._asked_rate = frame_rate
        self._capture = _open(target, self._name, sys.platform)
        _request(self._capture, asked)
        try:
            self._mode = self._granted(asked)
        except SourceError:
            self.close()
            raise

    @property
    def info(self) -> StreamInfo:
        rate = self._mode.frame_rate or self._asked_rate
        return StreamInfo(self._mode.width, self._mode.height, frame_rate=rate, live=True)

    @property
    def mode(self) -> CameraMode:
        """What the camera granted."""
        return self._mode

    def _granted(self, asked: CameraMode) -> CameraMode:
        """The mode that is read back; size as a first picture shows it, for drivers err."""
        picture = self._read()
        if picture is None:
            raise SourceError(f"camera {self._name} was closed while it opened")
        told = _read_back(self._capture)
        mode = replace(told, width=picture.shape[1], height=picture.shape[0])
        if mode.serves(asked):
            _log.info("camera %s: %s", self._name, mode)
        else:
            _log.warning("camera %s gives %s, not the requested %s", self._name, mode, asked)
        return mode

    def __iter__(self) -> Iterator[Frame]:
        while (picture := self._read()) is not None:
            now = time.monotonic()
            if self._index == 0:
                self._epoch = now
            self._require_size(picture)
            yield Frame(picture, now - self._epoch, self._index)
            self._index += 1

    def _read(self) -> Image | None:
        """The next picture, a new array; None once closed."""
        import cv2

        with self._using:
            if self._closed.is_set():
                return None
            try:
                given, picture = self._capture.read()
            except cv2.error as error:
                raise SourceError(f"camera {self._name} failed: {error}") from error
        if self._closed.is_set():
            self.close()  # close() came while this thread was reading: the device is ours to free
            return None
        if not given or picture is None:
            raise SourceError(_no_picture(self._name, sys.platform))
        return picture  # type: ignore[no-any-return]

    def _require_size(self, picture: Image) -> None:
        height, width = picture.shape[:2]
        if (width, height) != (self._mode.width, self._mode.height):
            raise SourceError(
                f"camera {self._name} changed its pictures from {self._mode.width}x"
                f"{self._mode.height} to {width}x{height}: another program set it so; start again"
            )

    def close(self) -> None:
        """Free the camera; if another thread is reading, it does so after that picture."""
        self._closed.set()
        if self._using.acquire(blocking=False):
            try:
                self._capture.release()
            finally:
                self._using.release()


def list_cameras() -> list[CameraInfo]:
    """The cameras of this computer.

    On Linux from the kernel's list, without opening a stream. Elsewhere each number is opened in
    turn, which takes a second each and lights the cameras' lamps.
    """
    if sys.platform == "linux":
        return list(v4l2.cameras())
    return list(_probed(sys.platform))


def _probed(platform: str) -> Iterator[CameraInfo]:
    for index in range(_MOST_CAMERAS):
        capture = _try_open(index, platform)
        if capture is None:
            return
        capture.release()
        yield CameraInfo(index, str(index), f"camera {index}")


def _resolve(device: int | str, platform: str) -> tuple[str, int | str]:
    """The camera's name in messages, and what OpenCV opens."""
    if platform == "linux":
        number = isinstance(device, int) or device.isdecimal()
        path = f"/dev/video{device}" if number else str(device)
        return path, str(Path(path).resolve())  # /dev/v4l/by-id/... are links
    if isinstance(device, int) or device.isdecimal():
        return str(device), int(device)
    raise SourceError(
        f"there is no camera {device!r}: give its number, 0 for the first. "
        "`vidbg devices` lists the cameras"
    )


def _wanted(pixel_format: PixelFormat, width: int, height: int) -> str:
    if pixel_format != "auto":
        return pixel_format
    return "MJPG" if width * height > _UNCOMPRESSED_PIXELS else "YUYV"


def _open(target: int | str, name: str, platform: str) -> Any:
    """An open cv2.VideoCapture."""
    reason = v4l2.refusal(str(target)) if platform == "linux" else None
    if reason is not None:
        raise SourceError(reason)
    capture = _try_open(target, platform)
    if capture is None:
        raise SourceError(_busy(name, target, platform))
    return capture


def _try_open(target: int | str, platform: str) -> Any | None:
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # we say it ourselves
    try:
        for api in _APIS.get(platform, ("CAP_ANY",)):
            capture = cv2.VideoCapture(target, getattr(cv2, api))
            if capture.isOpened():
                return capture
    finally:
        cv2.utils.logging.setLogLevel(level)
    return None


def _busy(name: str, target: int | str, platform: str) -> str:
    others = v4l2.holders(str(target)) if platform == "linux" else []
    if others:
        return f"camera {name} is in use by {', '.join(others)}: close that program first"
    hint = _BUSY.get(platform, "close the other program that uses it")
    return (
        f"camera {name} does not open: it is busy, forbidden or absent. Next: {hint}; "
        "`vidbg devices` lists the cameras"
    )


def _no_picture(name: str, platform: str) -> str:
    others = v4l2.holders(name) if platform == "linux" else []
    rival = f" ({', '.join(others)} has it open too)" if others else ""
    return (
        f"camera {name} gave no picture{rival}: it was unplugged, sleeps, or another program "
        "took it. Check its cable, close other programs, and see `vidbg devices`"
    )


def _request(capture: Any, mode: CameraMode) -> None:
    """Ask for a mode; the format first, because the sizes on offer depend on it."""
    import cv2

    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*mode.pixel_format))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, mode.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.height)
    capture.set(cv2.CAP_PROP_FPS, float(mode.frame_rate or 30))
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest picture, not the oldest of a queue


def _read_back(capture: Any) -> CameraMode:
    import cv2

    rate = capture.get(cv2.CAP_PROP_FPS)
    return CameraMode(
        width=int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
        height=int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        frame_rate=Fraction(rate).limit_denominator(1001) if 0 < rate < 1000 else None,
        pixel_format=_fourcc(int(capture.get(cv2.CAP_PROP_FOURCC))),
    )


def _fourcc(number: int) -> str:
    """Four letters of a FOURCC number; "" where the driver gave none."""
    letters = (number & 0xFFFFFFFF).to_bytes(4, "little").decode("latin-1")
    return letters if letters.isascii() and letters.isprintable() else ""
