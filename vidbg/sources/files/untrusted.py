"""Checks of an uploaded video before it is opened like any other."""

from __future__ import annotations

from pathlib import Path

import av

from vidbg.errors import SourceError

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "flv", "asf", "ogg",
    "gif", "apng", "webp_pipe", "yuv4mpegpipe",
)  # fmt: skip
"""FFmpeg's names of the containers that hold everything that they show. Playlists, such as HLS and
concat, name other files and addresses, which FFmpeg would read.
"""


def check_untrusted(path: Path, max_pixels: int, longest_s: float) -> None:
    """Refuse a file that is not in one of FORMATS, or is too large to decode.

    Args:
        max_pixels: of a frame.
        longest_s: the longest time that its header may give, in seconds.
    Raises:
        SourceError: it is refused; the message says why.
    """
    options = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}
    try:
        with av.open(str(path.absolute()), container_options=options) as container:
            streams = container.streams.video
            sizes = [stream.codec_context.width * stream.codec_context.height for stream in streams]
            duration_s = (container.duration or 0) / av.time_base
    except (av.FFmpegError, OSError, ValueError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or "its header is damaged"
        raise SourceError(f"it is not an image or video that can be used ({reason})") from None
    if not streams:
        raise SourceError("it has no video in it")
    if max(sizes) > max_pixels:
        raise SourceError(
            f"its frames have {max(sizes)} pixels; allowed are {max_pixels}: scale it down first"
        )
    if duration_s > longest_s:
        raise SourceError(f"it lasts {duration_s:.0f} s; allowed are {longest_s:g}: cut it first")
