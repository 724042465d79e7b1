"""Queries on an open v4l2loopback device: its format, format lock, stream and readers.

Layouts are those of linux/videodev2.h on 64-bit Linux, unless marked as the module's own.
"""

from __future__ import annotations

import errno
import struct
from contextlib import suppress
from dataclasses import dataclass

from vidbg.platform.video_nodes import VideoNode, fourcc

G_FMT = 0xC0D05604  # VIDIOC_G_FMT: _IOWR('V', 4, struct v4l2_format)
FORMAT = struct.Struct("=I4xII4s188x")  # type; of fmt.pix: width, height, pixelformat
G_CTRL = 0xC008561B  # VIDIOC_G_CTRL: _IOWR('V', 27, struct v4l2_control)
CONTROL = struct.Struct("=Ii")  # id, value
STREAMON = 0x40045612  # VIDIOC_STREAMON: _IOW('V', 18, int)
BUFFER_TYPE = struct.Struct("=i")
SUBSCRIBE_EVENT = 0x4020565A  # VIDIOC_SUBSCRIBE_EVENT: _IOW('V', 90, v4l2_event_subscription)
SUBSCRIPTION = struct.Struct("=III20x")  # type, id, flags
DQEVENT = 0x80885659  # VIDIOC_DQEVENT: _IOR('V', 89, struct v4l2_event)
EVENT = struct.Struct("=I4xI124x")  # type; the first number of the union

CAPTURE, OUTPUT = 1, 2  # V4L2_BUF_TYPE_VIDEO_...
KEEP_FORMAT = 0x0098F900  # v4l2loopback.c: CID_KEEP_FORMAT = (V4L2_CID_USER_BASE | 0xf000) + 0
CLIENT_USAGE = 0x10E00001
"""v4l2loopback.c, 0.13 and newer: V4L2_EVENT_PRI_CLIENT_USAGE = V4L2_EVENT_PRIVATE_START +
0x08E00000 + 1; struct v4l2_event_client_usage, a __u32 count, stands in the event's union."""
_SEND_INITIAL = 1  # V4L2_EVENT_SUB_FL_SEND_INITIAL


@dataclass(frozen=True, slots=True)
class DeviceFormat:
    """The image format of a device: size in pixels, and FOURCC ("YU12", "YUYV")."""

    width: int
    height: int
    pixel_format: str

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.pixel_format}"


def device_format(node: VideoNode) -> DeviceFormat | None:
    """Return a device's current format; None if the device does not report one.

    Module 0.15 reports it as an output format until a writer's first frame, then as a capture one.
    """
    for kind in (OUTPUT, CAPTURE):
        answer = bytearray(FORMAT.pack(kind, 0, 0, bytes(4)))
        try:
            node.ioctl(G_FMT, answer)
        except OSError:
            continue
        _kind, width, height, code = FORMAT.unpack(answer)
        return DeviceFormat(width, height, fourcc(code))
    return None


def keeps_format(node: VideoNode) -> bool:
    """Return whether the user locked the device's format (`v4l2-ctl -c keep_format=1`)."""
    answer = bytearray(CONTROL.pack(KEEP_FORMAT, 0))
    try:
        node.ioctl(G_CTRL, answer)
    except OSError:
        return False
    return bool(CONTROL.unpack(answer)[1])


def claim_output(node: VideoNode) -> None:
    """Start an output stream so that module 0.12 frees the device when the node is closed.

    Module 0.12 never releases a writer that did not start a stream, such as pyvirtualcam: the next
    writer gets "is not a video output device" (v4l2loopback #442, #470). Newer modules do not need
    this and refuse it (0.15: EINVAL), which does no harm.
    """
    with suppress(OSError):
        node.ioctl(STREAMON, bytearray(BUFFER_TYPE.pack(OUTPUT)))


def subscribe_to_usage(node: VideoNode) -> bool:
    """Subscribe to reader events; return False if the module has none (0.12)."""
    try:
        node.ioctl(SUBSCRIBE_EVENT, bytearray(SUBSCRIPTION.pack(CLIENT_USAGE, 0, _SEND_INITIAL)))
    except OSError:
        return False
    return True


def next_usage(node: VideoNode) -> int | None:
    """Return the count of readers (0 or 1) in the next event; None if there is no event yet.

    Raises:
        OSError: the device is gone.
    """
    while True:
        event = bytearray(EVENT.size)
        try:
            node.ioctl(DQEVENT, event)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EAGAIN):
                return None
            raise
        kind, count = EVENT.unpack(event)
        if kind == CLIENT_USAGE:
            return int(count)
