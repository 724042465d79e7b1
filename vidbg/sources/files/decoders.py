"""Choice of the decoder for a video stream."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, cast

import av
from av.codec import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidbg.sources.files.hevc_alpha import HevcDecoder

_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own decoders of these leave out the alpha, which Matroska stores beside the picture."""


class Decoder(Protocol):
    """What turns packets into frames; FFmpeg's contexts are decoders."""

    def decode(self, packet: Any = None, /) -> list[VideoFrame]: ...


def decoder_of(stream: VideoStream, guessed: Callable[[VideoFrame], None]) -> Decoder:
    """Return FFmpeg's default decoder, or one that decodes the alpha of VP8, VP9 and HEVC.

    Args:
        guessed: called with each frame that lacks its alpha in the file.
    """
    if stream.codec_context.name == "hevc":
        return HevcDecoder(stream.codec_context, guessed)
    other = _WITH_ALPHA.get(stream.codec_context.name)
    if other is None or not any(
        key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items()
    ):
        return stream.codec_context
    return VpxDecoder(stream.codec_context, other)


def upright_frame(decoder: Decoder) -> VideoFrame | None:
    """Return a frame with the container's display matrix, if the decoder's own lack it."""
    return decoder.first if isinstance(decoder, HevcDecoder | VpxDecoder) else None


class VpxDecoder:
    """libvpx's decoder of VP8 or VP9, which decodes alpha.

    Args:
        usual: the stream's own context, which leaves out alpha.
        name: FFmpeg's name of the other decoder.

    Attributes:
        first: the first frame as `usual` decodes it, whose display matrix is the container's; a
            context that is made by hand does not know the container. None before the first frame.
    """

    def __init__(self, usual: VideoCodecContext, name: str) -> None:
        self._usual = usual
        self._usual.thread_count = 1  # threads would hold back its first frame
        self._context = cast(VideoCodecContext, CodecContext.create(name, "r"))
        self._context.thread_count = 0
        self.first: VideoFrame | None = None

    def decode(self, packet: Any = None, /) -> list[VideoFrame]:
        if self.first is None and packet is not None and packet.size:
            with suppress(av.FFmpegError):  # the other decoder says what is wrong
                self.first = next(iter(self._usual.decode(packet)), None)
        return self._context.decode(packet)
