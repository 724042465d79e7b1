"""Cameras, through OpenCV: V4L2 on Linux, DirectShow on Windows, AVFoundation on macOS."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TypedDict

from vidbg.errors import SourceError
from vidbg.frame import Frame, Image, StreamInfo
from vidbg.sources.camera import v4l2
from vidbg.sources.camera.camera_mode import CameraMode, PixelFormat, read_back, request, wanted
from vidbg.sources.camera.opencv_capture import no_picture, open_capture, try_open
from vidbg.sources.camera.v4l2 import CameraInfo
from vidbg.util.lifecycle import Closeable
from vidbg.util.quiet_opencv import quiet_opencv

READ_TIMEOUT_S = 2.0
"""A camera that gives nothing for this long is frozen; the slowest modes give 5 images a second."""

_log = logging.getLogger(__name__)

_WAIT_S = 0.2  # the longest time until a reader notices that its camera was closed
_MAX_CAMERAS = 10


class CameraOptions(TypedDict, total=False):
    """Keyword arguments of CameraSource, which describes them."""

    width: int
    height: int
    frame_rate: Fraction
    pixel_format: PixelFormat
    read_timeout_s: float


class CameraSource(Closeable):
    """Source of a camera's frames as they arrive.

    pts is the monotonic clock's time since the first frame, taken when a frame has arrived.
    A camera may grant another mode: `mode` holds it, and a warning names the differences.
    If the size changes later, the frames, `mode` and `info` follow it.

    Args:
        device: the camera's number, or on Linux its path.
        width, height: size to request, in pixels.
        frame_rate: frames per second to request.
        pixel_format: pixel format to request; "auto" uses YUYV up to 640x480 and MJPG above,
            where USB 2 is too slow for uncompressed images.
        read_timeout_s: on Linux, a camera that delivers nothing for this long raises SourceError.
            The first image may take OpenCV's 10 s; other systems use OpenCV's own timeout.
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
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._closed = threading.Event()
        self._using = threading.Lock()
        self._index, self._epoch = 0, 0.0
        asked = CameraMode(width, height, frame_rate, wanted(pixel_format, width, height))
        self._asked_rate = frame_rate
        self._timeout_s = read_timeout_s if sys.platform == "linux" else None
        self._name, self._capture = open_capture(device, sys.platform)
        try:
            request(self._capture, asked)
            self._mode = self._granted(asked)
        except BaseException:
            self.close()
            raise

    @property
    def info(self) -> StreamInfo:
        rate = self._mode.frame_rate or self._asked_rate
        return StreamInfo(self._mode.width, self._mode.height, frame_rate=rate, live=True)

    @property
    def mode(self) -> CameraMode:
        """The mode that the camera granted."""
        return self._mode

    def _granted(self, asked: CameraMode) -> CameraMode:
        """Read back the mode; its size is the first image's, because drivers can be wrong."""
        picture = self._read_image()
        if picture is None:
            raise SourceError(f"camera {self._name} was closed while it opened")
        granted = read_back(self._capture)
        mode = replace(granted, width=picture.shape[1], height=picture.shape[0])
        if mode.serves(asked):
            _log.info("camera %s: %s", self._name, mode)
        else:
            _log.warning("camera %s gives %s, not the requested %s", self._name, mode, asked)
        return mode

    def __iter__(self) -> Iterator[Frame]:
        while (picture := self._read_image(self._timeout_s)) is not None:
            now = time.monotonic()
            if self._index == 0:
                self._epoch = now
            height, width = picture.shape[:2]
            if (width, height) != (self._mode.width, self._mode.height):
                mode = replace(self._mode, width=width, height=height)
                _log.warning("camera %s changed from %s to %s", self._name, self._mode, mode)
                self._mode = mode
            yield Frame(picture, now - self._epoch, self._index)
            self._index += 1

    def _read_image(self, timeout_s: float | None = None) -> Image | None:
        """Return the next image, a new array; None once closed."""
        picture = None
        try:
            with self._using:
                if not self._closed.is_set():
                    picture = self._next_picture(timeout_s)
        except SourceError:
            if not self._closed.is_set():
                raise
        if self._closed.is_set():
            self.close()  # closed while this thread was reading: it releases the device
            return None
        return picture

    def _next_picture(self, timeout_s: float | None) -> Image | None:
        """Read an image from the camera; None if it was closed while this waited."""
        import cv2

        try:
            if timeout_s is not None and not self._wait(timeout_s):
                raise SourceError(
                    f"camera {self._name} has frozen: no picture for {timeout_s:g} s. If it "
                    "stays so, unplug it and plug it in again, at the computer itself rather than "
                    "at a hub"
                )
            given, picture = self._capture.read()
        except cv2.error as error:
            raise no_picture(self._name, sys.platform) from error
        if not given or picture is None:
            raise no_picture(self._name, sys.platform)
        return picture  # type: ignore[no-any-return]

    def _wait(self, timeout_s: float) -> bool:
        """Wait for an image; return False if none came, or if the camera was closed meanwhile.

        V4L2 ignores CAP_PROP_READ_TIMEOUT_MSEC; its timeout in read() is always 10 s.
        """
        import cv2

        deadline = time.monotonic() + timeout_s
        while not self._closed.is_set() and (left := deadline - time.monotonic()) > 0:
            nanoseconds = max(1, int(min(left, _WAIT_S) * 1e9))  # 0 would wait forever
            _, ready = cv2.VideoCapture.waitAny([self._capture], nanoseconds)
            if len(ready) > 0:  # a tuple, or an array in OpenCV 5
                return True
        return False

    def close(self) -> None:
        """Release the camera; a thread that is reading releases it after the current image."""
        self._closed.set()
        if self._using.acquire(blocking=False):
            try:
                with quiet_opencv():  # it complains about an unplugged camera
                    self._capture.release()
            finally:
                self._using.release()


def list_cameras() -> list[CameraInfo]:
    """List the cameras of this computer.

    On Linux, read the kernel's list without opening a stream. On other systems, open each number in
    turn, which takes a second each and turns on the cameras' lights.
    """
    if sys.platform == "linux":
        return list(v4l2.cameras())
    found = []
    for index in range(_MAX_CAMERAS):
        capture = try_open(index, sys.platform)
        if capture is None:
            break
        capture.release()
        found.append(CameraInfo(index, str(index), f"camera {index}"))
    return found
