"""H.264 with little delay in MPEG-TS to a network address, through PyAV."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from fractions import Fraction

import av
from av.video.frame import PictureType
from av.video.reformatter import ColorRange

from vidbg.frame import Colour, Frame, StreamInfo
from vidbg.sinks.encoding.formats import OutputKind
from vidbg.sinks.encoding.live_h264 import KEYFRAME_S, keyframe_interval, x264_options
from vidbg.sinks.encoding.pixel_conversion import EncoderPictures
from vidbg.util.lifecycle import Closeable

_CLOCK = Fraction(1, 90_000)
_COLOUR = Colour(matrix=1, primaries=1, transfer=1)
"""BT.709 at every size, and marked as such: receivers guess differently if it is unmarked."""

_CONTAINER_OPTIONS = {"flush_packets": "1"}


class H264Stream(Closeable):
    """An H.264 stream: frames keep their own times, from 0 for the first, and are sent at once.

    Blocks while it connects and while the network accepts no data.

    Args:
        url: where FFmpeg connects to.
        info: of the frames; 30 frames per second if it has no rate.
    Raises:
        av.FFmpegError, OSError: it cannot connect; or, while sending, the connection is broken.
    """

    def __init__(self, url: str, info: StreamInfo) -> None:
        self._pictures = EncoderPictures(replace(info, colour=_COLOUR), OutputKind.H264, "opaque")
        self._first_pts: float | None = None
        self._last_tick = -1
        self._next_keyframe_s = 0.0
        self._container = av.open(url, "w", format="mpegts", container_options=_CONTAINER_OPTIONS)
        try:
            rate = info.frame_rate or Fraction(30)
            pictures = self._pictures
            options = {**x264_options(pictures.width, pictures.height, rate), "forced-idr": "1"}
            stream = self._container.add_stream("libx264", rate=rate, options=options)
            context = stream.codec_context
            context.width, context.height = pictures.width, pictures.height
            context.pix_fmt = pictures.pixel_format
            context.colorspace, context.color_primaries = _COLOUR.matrix, _COLOUR.primaries
            context.color_trc, context.color_range = _COLOUR.transfer, ColorRange.MPEG
            context.time_base = stream.time_base = _CLOCK
            # Keyframes are requested by time; the limit applies if the source is too fast.
            context.gop_size = keyframe_interval(rate)
            context.thread_count = 0
            self._stream = stream
            self._container.start_encoding()
        except BaseException:
            self.close()
            raise

    def send(self, frame: Frame) -> None:
        """Encode and send a frame; skip it if it is not later than the last."""
        if self._first_pts is None:
            self._first_pts = frame.pts
        elapsed_s = frame.pts - self._first_pts
        tick = round(elapsed_s / _CLOCK)
        if tick <= self._last_tick:
            return
        self._last_tick = tick
        picture = self._pictures.convert(frame)
        picture.pts, picture.time_base = tick, _CLOCK
        if elapsed_s >= self._next_keyframe_s:
            picture.pict_type = PictureType.I
            self._next_keyframe_s = elapsed_s + KEYFRAME_S
        self._container.mux(self._stream.encode(picture))

    def finish(self) -> None:
        """Send the packets that the encoder still holds."""
        self._container.mux(self._stream.encode(None))

    def close(self) -> None:
        with suppress(av.FFmpegError, OSError):  # the other end may have gone
            self._container.close()
