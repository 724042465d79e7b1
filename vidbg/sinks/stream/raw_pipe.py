"""Uncompressed video into a pipe, for programs that read it from there: `ffmpeg -i -`, `mpv -`."""

from __future__ import annotations

import errno
import math
import os
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vidbg.errors import SinkError
from vidbg.frame import Colour, Frame, Image, StreamInfo
from vidbg.sinks.live_sink import LiveSink
from vidbg.util.choices import RawFormat as RawFormat
from vidbg.util.planes import plane_samples

MAX_REPEATED_S = 1.0
"""Longest gap in a live stream that is filled by repeating a frame. After a longer one, such as a
stopped process, the reader would lag by that time."""

HELD_UP = 0.5
"""Share of a period from which on a slow write means that the reader is late."""

_FULL = {errno.ENOSPC, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)}


class RawPipeSink(LiveSink):
    """A sink that writes frames to a binary stream at a constant rate.

    The formats have no timestamps, so a frame is repeated while the next one is late, and skipped
    if two fall into one period: the output lasts as long as the input.

    In live streams a slow reader gets no frame twice: the time for which it blocked a write is
    skipped, and so is a gap longer than MAX_REPEATED_S.

    Args:
        info: of the frames; 30 frames per second if it has no rate.
        stream: None takes standard output.
        raw_format: "y4m" describes itself, in 4:2:0 and limited range, BT.709 from 720 lines and
            BT.601 below; "i420" is the same planes (Y, U, V) and "bgr24" the pixels, both without a
            header: the reader must be told their size and rate.
    Raises:
        SinkError: standard output is a terminal; or, while writing, the reader has gone.
    """

    def __init__(
        self, info: StreamInfo, stream: BinaryIO | None = None, *, raw_format: RawFormat = "y4m"
    ) -> None:
        super().__init__("the raw pipe", info.width, info.height)
        self._stream = _standard_output() if stream is None else stream
        self._rate = info.frame_rate or Fraction(30)
        self._live = info.live
        self._start = math.nan
        self._periods = 0
        self._held_up = False
        self._last: tuple[bytes | memoryview, float] | None = None  # and the pts at which it ends
        self._encode: Callable[[Image], bytes | memoryview]
        if raw_format == "bgr24":
            self._encode = lambda image: np.ascontiguousarray(image).data
        else:
            self._encode = _Planes(info.height, heading=b"FRAME\n" if raw_format == "y4m" else b"")
        if raw_format == "y4m":
            pixel = info.sample_aspect_ratio
            size = f"W{info.width} H{info.height} A{pixel.numerator}:{pixel.denominator}"
            speed = f"F{self._rate.numerator}:{self._rate.denominator}"
            self._send(f"YUV4MPEG2 {size} {speed} Ip C420mpeg2 XCOLORRANGE=LIMITED\n".encode())

    def show_frame(self, frame: Frame) -> None:
        if math.isnan(self._start):
            self._start = frame.pts
        missing = round((frame.pts - self._start) * self._rate) + 1 - self._periods
        if missing <= 0:
            return
        if self._live and (self._held_up or missing > MAX_REPEATED_S * self._rate):
            self._start += float((missing - 1) / self._rate)  # as if that time had not passed
            missing = 1
        data = self._encode(frame.image)
        self._repeat(data, missing)
        if frame.duration_s is not None:
            self._last = data, frame.pts + frame.duration_s

    def _repeat(self, data: bytes | memoryview, count: int) -> None:
        """Send a frame for some periods; leave the rest out if a live reader is late."""
        for number in range(1, count + 1):
            self._send(data)
            self._periods += 1
            if self._live and self._held_up:
                self._start += float((count - number) / self._rate)
                return

    def _send(self, data: bytes | memoryview) -> None:
        begun_s = time.monotonic()
        try:
            self._stream.write(data)
            self._stream.flush()
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            # Point standard output at the null device, so that Python's flush at exit works.
            if sys.stdout is not None and self._stream is sys.stdout.buffer:
                with Path(os.devnull).open("wb") as nowhere:
                    os.dup2(nowhere.fileno(), sys.stdout.fileno())
            if isinstance(error, OSError) and error.errno in _FULL:
                raise SinkError(
                    f"raw video cannot be written after {self._periods} frames: {error.strerror}. "
                    "Write it to another disk, or into a program that encodes it"
                ) from error
            raise SinkError(
                f"the program that reads the raw pipe has exited ({error}) after {self._periods} "
                "frames: keep it running for as long as vidbg writes"
            ) from error
        self._held_up = time.monotonic() - begun_s > HELD_UP * float(1 / self._rate)

    def abort(self) -> None:
        self._last = None
        super().abort()

    def release(self) -> None:
        """Repeat the last frame for the duration given by its source.

        The stream stays open: it belongs to the caller, and every frame was flushed.
        """
        if self._last is not None:
            data, end_s = self._last
            self._repeat(data, round((end_s - self._start) * self._rate) - self._periods)


def _standard_output() -> BinaryIO:
    if sys.stdout is None:
        raise SinkError(
            "standard output is closed: pipe raw video into a program, as in "
            "`vidbg run -o - | mpv -`"
        )
    if sys.stdout.isatty():
        raise SinkError(
            "raw video would go to this terminal: pipe it into a program, as in "
            "`vidbg run -o - | mpv -`"
        )
    return sys.stdout.buffer


class _Planes:
    """An encoder of BGR images as a header and the planes Y, U and V in 4:2:0, limited range."""

    def __init__(self, height: int, heading: bytes) -> None:
        from av.video.reformatter import VideoReformatter

        from vidbg.sinks.encoding.pixel_conversion import ACCURATE

        self._reformatter = VideoReformatter()
        self._matrix = Colour().matrix_at(height)  # the format cannot state it
        self._accurate = ACCURATE
        self._heading = heading

    def __call__(self, image: Image) -> bytes:
        import av

        bgr = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format="bgr24")
        yuv = self._reformatter.reformat(
            bgr,
            format="yuv420p",
            dst_colorspace=self._matrix,
            interpolation=self._accurate,
            threads=1,
        )
        planes = [plane_samples(plane, np.uint8).tobytes() for plane in yuv.planes]
        return b"".join([self._heading, *planes])
