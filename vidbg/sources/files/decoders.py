"""Choice of the decoder for a video stream."""

from __future__ import annotations

from typing import cast

from av.codec import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own decoders of these leave out the alpha, which Matroska stores beside the picture."""


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """Return FFmpeg's default decoder, or for VP8 and VP9 with alpha one that decodes the alpha."""
    name = _WITH_ALPHA.get(stream.codec_context.name)
    if name is None or not any(
        key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items()
    ):
        return stream.codec_context
    context = cast(VideoCodecContext, CodecContext.create(name, "r"))
    context.thread_count = 0
    return context
