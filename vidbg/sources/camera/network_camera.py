"""Cameras and streams on the network, through FFmpeg: RTSP, HTTP (MJPEG, HLS), UDP and RTMP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import VideoReformatter

from vidbg.errors import ConfigError, SourceError
from vidbg.frame import Colour, Frame, Image, StreamInfo
from vidbg.sources import Source, open_frames
from vidbg.sources.camera.played_file import PlayedMode, PlayedSource
from vidbg.sources.files.container import video_stream
from vidbg.util.lifecycle import Closeable
from vidbg.util.urls import concealed, public_name

OPEN_S, READ_S = 10.0, 5.0
"""How long connecting, and waiting for a picture, may take."""

_OPTIONS = {"rtsp_flags": "prefer_tcp"}
_UNSPECIFIED = 2


def open_stream(url: str, frame_rate: Fraction) -> Source:
    """Open a URL; a recording of known length is looped at its own speed.

    Args:
        frame_rate: of the output, used if the stream has none.
    Raises:
        ConfigError: this FFmpeg does not support the protocol.
        SourceError: it does not open; messages name only host and port.
    """
    name = public_name(url)
    try:
        container = av.open(url, "r", options=_OPTIONS, timeout=(OPEN_S, READ_S))
    except av.ProtocolNotFoundError:
        raise ConfigError(f"{name} cannot be read: FFmpeg here lacks this protocol") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SourceError(
            f"the stream {name} cannot be opened: {_reason(error, url, OPEN_S)}. Check the address "
            "and the network, and that the camera is on"
        ) from None
    if not container.duration:
        return NetworkSource(url, container, frame_rate)
    container.close()
    try:
        return PlayedSource(partial(open_frames, url), frame_rate)
    except SourceError as error:
        raise SourceError(concealed(str(error), url)) from None


def _reason(error: Exception, url: str, patience_s: float) -> str:
    if isinstance(error, av.error.ExitError):  # raised by PyAV when a call times out
        return f"nothing came for {patience_s:g} s"
    return getattr(error, "strerror", None) or concealed(str(error), url)


class NetworkSource(Closeable):
    """Source of a stream's frames as they arrive; pts is monotonic time since the first one.

    Args:
        url: where it comes from.
        container: opened from there; closed by this source.
        frame_rate: used if the stream has none.
    Raises:
        SourceError: it has no video; while reading: it broke off or delivers nothing.
    """

    def __init__(self, url: str, container: InputContainer, frame_rate: Fraction) -> None:
        self._url, self._name = url, public_name(url)
        self._container = container
        self._closed = threading.Event()
        self._using = threading.Lock()
        self._reformatter = VideoReformatter()
        try:
            stream = video_stream(container, self._name)
            stream.thread_type = "SLICE"  # frame threading would delay frames
            self._frames = container.decode(stream)
            first = self._next_image()
            if first is None:
                raise SourceError(f"the stream {self._name} gave no picture")
        except BaseException:
            container.close()
            raise
        self._first: Image | None = first
        rate = stream.average_rate or stream.guessed_rate
        if not rate or not 1 <= rate <= 240:
            rate = frame_rate
        height, width = first.shape[:2]
        self._info = StreamInfo(width, height, frame_rate=Fraction(rate), live=True)

    @property
    def info(self) -> StreamInfo:
        return self._info

    @property
    def mode(self) -> PlayedMode:
        return PlayedMode(self._info, looped=False)

    def __iter__(self) -> Iterator[Frame]:
        start, index = time.monotonic(), 0
        image, self._first = self._first, None
        while not self._closed.is_set():
            image = self._next_image() if image is None else image
            if image is None:
                return
            yield Frame(image, time.monotonic() - start, index)
            image, index = None, index + 1

    def _next_image(self) -> Image | None:
        """Return the next image, a new array; None once closed or at the stream's end."""
        with self._using:
            if self._closed.is_set():
                return None
            try:
                frame = next(self._frames, None)
                if frame is None:
                    return None
                known = frame.colorspace != _UNSPECIFIED
                matrix = int(frame.colorspace) if known else Colour().matrix_at(frame.height)
                bgr = self._reformatter.reformat(frame, format="bgr24", src_colorspace=matrix)
                return np.ascontiguousarray(bgr.to_ndarray(), np.uint8)
            except (av.FFmpegError, OSError, ValueError) as error:
                if self._closed.is_set():
                    return None
                raise SourceError(
                    f"the stream {self._name} broke off: {_reason(error, self._url, READ_S)}"
                ) from None
            finally:
                if self._closed.is_set():  # close() was called meanwhile
                    self._container.close()

    def close(self) -> None:
        """Close the connection; a thread that is reading closes it after the current image."""
        self._closed.set()
        if self._using.acquire(blocking=False):
            try:
                self._container.close()
            finally:
                self._using.release()
