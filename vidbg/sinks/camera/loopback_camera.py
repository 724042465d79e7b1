"""Writing to a v4l2loopback device through pyvirtualcam, with fixes for what it lacks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

from vidbg.errors import SinkError
from vidbg.frame import Image
from vidbg.platform.video_nodes import OpenNode, VideoNode, capability, holders
from vidbg.sinks.camera.loopback_node import DeviceFormat, claim_output, device_format
from vidbg.sinks.camera.loopback_watch import Audience
from vidbg.util.lifecycle import Closeable

Writer = Any
"""A pyvirtualcam.Camera, which has no type hints."""

OpenWriter = Callable[[int, int, str], Writer]
"""Opens pyvirtualcam for a width, a height and the name of a pyvirtualcam.PixelFormat."""

_log = logging.getLogger(__name__)

_NATIVE = "YU12"  # what pyvirtualcam makes of BGR
_CONVERSIONS = {"YUYV": "COLOR_BGR2YUV_YUYV", "UYVY": "COLOR_BGR2YUV_UYVY"}


class LoopbackCamera(Closeable):
    """A v4l2loopback device that takes BGR images of one size.

    If a program reads from the device, or its format is locked, the device keeps its size and
    pyvirtualcam does not notice. Images are then scaled to that size, with bars to keep the aspect
    ratio. On module 0.12 the device is free again when this is closed, and after a SIGKILL.

    Args:
        device: "/dev/video10".
        width, height: of the images, in pixels.
        open_writer: opens pyvirtualcam on that device.
    Raises:
        SinkError: the device is locked to a pixel format that cannot be written.
        OSError, RuntimeError: the device or pyvirtualcam cannot be opened.
    """

    backend = "v4l2loopback"

    def __init__(
        self,
        device: str,
        width: int,
        height: int,
        open_writer: OpenWriter,
        open_node: OpenNode = VideoNode,
    ) -> None:
        self.device = device
        asked = DeviceFormat(width, height, _NATIVE)
        with ExitStack() as opened:
            self._node = opened.enter_context(open_node(device))
            self._writer = open_writer(width, height, "BGR")
            opened.callback(lambda: self._writer.close())
            self._format = device_format(self._node) or asked
            if self._format != asked:
                self._adopt(asked, open_writer)
            claim_output(self._node)
            self._audience = Audience(device, self._node)
            opened.pop_all()

    def _adopt(self, asked: DeviceFormat, open_writer: OpenWriter) -> None:
        """Reopen pyvirtualcam with the format that the device keeps."""
        kept = self._format
        if kept.pixel_format not in (_NATIVE, *_CONVERSIONS):
            others = holders(self.device)
            readers = f" ({', '.join(others)})" if others else ""
            raise SinkError(
                f"the virtual camera {self.device} keeps its format {kept}, which vidbg cannot "
                f"write (it can {', '.join((_NATIVE, *_CONVERSIONS))}). Next: close the programs "
                f"that read from it{readers}; if its format is locked, "
                f"`v4l2-ctl -d {self.device} -c keep_format=0`"
            )
        self._writer.close()
        name = "BGR" if kept.pixel_format == _NATIVE else kept.pixel_format
        self._writer = open_writer(kept.width, kept.height, name)
        if device_format(self._node) != kept:
            raise SinkError(
                f"the virtual camera {self.device} changes its format while it is opened, from "
                f"{kept}: another program opens it too. Close that program, then start again"
            )
        _log.warning(
            "the virtual camera %s keeps its format %s, because a program reads from it or it is "
            "locked: images of %dx%d are scaled to that",
            self.device,
            kept,
            asked.width,
            asked.height,
        )

    def send(self, image: Image) -> None:
        """Show an image.

        Raises:
            SinkError: the device is gone, which pyvirtualcam would only print.
        """
        try:
            capability(self._node)
            gone = None if self._node.is_at(self.device) else "another device, or none, is there"
        except OSError as error:
            gone = error.strerror
        if gone is not None:
            raise SinkError(
                f"the virtual camera {self.device} is gone ({gone}): its module was reloaded, or "
                "the device was deleted. `vidbg doctor` lists the devices"
            )
        fitted = fit(image, self._format.width, self._format.height)
        if self._format.pixel_format != _NATIVE:  # BGR is converted by pyvirtualcam
            import cv2

            code = getattr(cv2, _CONVERSIONS[self._format.pixel_format])
            fitted = np.asarray(cv2.cvtColor(fitted, code), np.uint8)
        self._writer.send(fitted)

    def watched(self) -> bool | None:
        """Return whether a program reads from the device; None if unknown."""
        return self._audience.watched()

    def close(self) -> None:
        self._writer.close()
        self._node.close()  # last: module 0.12 frees the device with it


def revive(device: str, open_node: OpenNode = VideoNode) -> bool:
    """Free a used-up device of module 0.12 and return whether that worked.

    Raises:
        OSError: it cannot be opened.
    """
    with open_node(device) as node:
        claim_output(node)
    with open_node(device) as node:
        return capability(node).outputs


def fit(image: Image, width: int, height: int) -> Image:
    """Scale an image to a size with black bars; return the image itself if it has that size.

    Args:
        image: uint8 (H, W, 3), BGR.
    Returns:
        uint8 (height, width, 3), BGR.
    """
    own_height, own_width = image.shape[:2]
    if (own_width, own_height) == (width, height):
        return image
    import cv2

    scale = min(width / own_width, height / own_height)
    inner = (max(1, round(own_width * scale)), max(1, round(own_height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    fitted = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    inside = fitted[top : top + inner[1], left : left + inner[0]]
    inside[...] = cv2.resize(image, inner, interpolation=method)
    return fitted
