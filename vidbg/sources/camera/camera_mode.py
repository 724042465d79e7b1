"""Camera mode: the one requested, and the one that OpenCV reports as granted."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vidbg.platform.video_nodes import fourcc
from vidbg.util.choices import PixelFormat as PixelFormat

_UNCOMPRESSED_PIXELS = 640 * 480  # larger YUYV images at 30 FPS do not fit through USB 2


@dataclass(frozen=True, slots=True)
class CameraMode:
    """Size, frame rate and pixel format that a camera delivers.

    Attributes:
        width, height: in pixels.
        frame_rate: frames per second; None if the driver does not report it.
        pixel_format: FOURCC, such as "MJPG" or "YUYV"; "" if the driver does not report it.
    """

    width: int
    height: int
    frame_rate: Fraction | None
    pixel_format: str

    def __str__(self) -> str:
        rate = f"{float(self.frame_rate):.4g} FPS" if self.frame_rate else "unknown FPS"
        return f"{self.width}x{self.height} at {rate}, {self.pixel_format or 'unknown format'}"

    def serves(self, asked: CameraMode) -> bool:
        """Return whether this matches the requested mode, as far as the driver reports it."""
        same_size = (self.width, self.height) == (asked.width, asked.height)
        same_format = self.pixel_format in ("", asked.pixel_format)
        if self.frame_rate is None or asked.frame_rate is None:
            return same_size and same_format
        return same_size and same_format and abs(self.frame_rate - asked.frame_rate) < 0.5


def wanted(pixel_format: PixelFormat, width: int, height: int) -> str:
    """Return the FOURCC to request."""
    if pixel_format != "auto":
        return pixel_format
    return "MJPG" if width * height > _UNCOMPRESSED_PIXELS else "YUYV"


def request(capture: Any, mode: CameraMode) -> None:
    """Ask an open cv2.VideoCapture for a mode.

    The format comes first, because the available sizes depend on it.
    """
    import cv2

    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*mode.pixel_format))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, mode.width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, mode.height)
    capture.set(cv2.CAP_PROP_FPS, float(mode.frame_rate or 30))
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # return the newest image, not the oldest in the queue


def read_back(capture: Any) -> CameraMode:
    """Return the mode that an open cv2.VideoCapture reports as granted."""
    import cv2

    rate, code = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FOURCC))
    return CameraMode(
        width=int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
        height=int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        frame_rate=Fraction(rate).limit_denominator(1001) if 0 < rate < 1000 else None,
        pixel_format=fourcc((code & 0xFFFFFFFF).to_bytes(4, "little")),
    )
