"""Pixel formats, sizes and frame rates of a camera on Linux, from V4L2's ioctls."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vidbg.platform.video_nodes import Capability, VideoNode, fourcc

ENUM_FMT = 0xC0405602  # VIDIOC_ENUM_FMT: _IOWR('V', 2, struct v4l2_fmtdesc)
FMTDESC = struct.Struct("=III32s4s16x")  # index, type, flags, description, pixelformat
ENUM_FRAMESIZES = 0xC02C564A  # VIDIOC_ENUM_FRAMESIZES: _IOWR('V', 74, struct v4l2_frmsizeenum)
FRMSIZEENUM = struct.Struct("=I4sI6I8x")  # index, pixel_format, type; the union's six numbers
ENUM_FRAMEINTERVALS = 0xC034564B  # VIDIOC_ENUM_FRAMEINTERVALS: _IOWR('V', 75, v4l2_frmivalenum)
FRMIVALENUM = struct.Struct("=I4sIII6I8x")  # index, pixel_format, width, height, type; the union

_CAPTURE, _CAPTURE_MPLANE = 1, 9  # V4L2_BUF_TYPE_VIDEO_...
_DISCRETE = 1  # V4L2_FRMSIZE_TYPE_, V4L2_FRMIVAL_TYPE_; 2 continuous, 3 stepwise: a range
_MAX_ENTRIES = 128  # guards against a driver whose list never ends


@dataclass(frozen=True, slots=True)
class FrameSize:
    """A supported size, or a range of sizes.

    Attributes:
        width, height: in pixels; the largest where there is a range.
        smallest: width and height of the smallest of a range; None for a single size.
        frame_rate: the highest at that size, in frames per second; None if unknown.
    """

    width: int
    height: int
    smallest: tuple[int, int] | None
    frame_rate: Fraction | None

    def __str__(self) -> str:
        size = f"{self.width}x{self.height}"
        if self.smallest is not None:
            size = f"{self.smallest[0]}x{self.smallest[1]} to {size}"
        return size if self.frame_rate is None else f"{size}@{float(self.frame_rate):.4g}"


@dataclass(frozen=True, slots=True)
class CameraFormat:
    """A supported pixel format, as FOURCC ("MJPG", "YUYV"), with its sizes, the largest first."""

    pixel_format: str
    sizes: tuple[FrameSize, ...]

    def sizes_text(self) -> str:
        """Return each size with its highest frame rate: "1920x1080@30, 1280x720@60"."""
        return ", ".join(map(str, self.sizes))


def formats(node: VideoNode, capability: Capability) -> tuple[CameraFormat, ...]:
    """Return the formats of an open camera; empty if its driver does not report them."""
    kind = _CAPTURE_MPLANE if capability.multiplanar else _CAPTURE
    asked = (FMTDESC.pack(index, kind, 0, b"", bytes(4)) for index in range(_MAX_ENTRIES))
    result = []
    for *_, code in _answers(node, ENUM_FMT, FMTDESC, asked):
        sizes = sorted(
            _sizes(node, code),
            key=lambda size: (size.width * size.height, size.width),
            reverse=True,
        )
        result.append(CameraFormat(fourcc(code), tuple(sizes)))
    return tuple(result)


def _sizes(node: VideoNode, code: bytes) -> Iterator[FrameSize]:
    """Yield the sizes of a pixel format, each with its highest frame rate."""
    asked = (FRMSIZEENUM.pack(index, code, 0, *[0] * 6) for index in range(_MAX_ENTRIES))
    for answer in _answers(node, ENUM_FRAMESIZES, FRMSIZEENUM, asked):
        kind, union = answer[2], answer[3:]
        if kind == _DISCRETE:
            width, height = union[:2]
            yield FrameSize(width, height, None, _top_rate(node, code, width, height))
            continue
        min_w, max_w, _step_w, min_h, max_h, _step_h = union
        top = _top_rate(node, code, max_w, max_h)
        yield FrameSize(max_w, max_h, (min_w, min_h), top)
        return  # a range is the complete answer


def _top_rate(node: VideoNode, code: bytes, width: int, height: int) -> Fraction | None:
    """Return the highest frame rate at a size; None if the driver does not report any."""
    rates = []
    asked = (FRMIVALENUM.pack(i, code, width, height, 0, *[0] * 6) for i in range(_MAX_ENTRIES))
    for answer in _answers(node, ENUM_FRAMEINTERVALS, FRMIVALENUM, asked):
        kind, union = answer[4], answer[5:]
        numerator, denominator = union[:2]  # seconds per frame; the shortest of a range
        if numerator and denominator:
            rates.append(Fraction(denominator, numerator))
        if kind != _DISCRETE:
            break
    return max(rates, default=None)


def _answers(
    node: VideoNode, request: int, layout: struct.Struct, questions: Iterator[bytes]
) -> Iterator[tuple[Any, ...]]:
    """Yield the driver's answers until it returns an error, which marks the end of a list."""
    for question in questions:
        argument = bytearray(question)
        try:
            node.ioctl(request, argument)
        except OSError:
            return
        yield layout.unpack(argument)
