"""Start of a file's clock and end of its streams, as stored in the container."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.format import Flags
from av.stream import Stream
from av.video.stream import VideoStream

_MOV = "mov,mp4"
_END_STORED = ("matroska", "asf", "mxf")
"""Their duration is the time of the end, wherever they start."""

_LONGEST_OGG_PAGE = 27 + 255 + 255 * 255
_DURATION_TAG = "DURATION"  # Matroska's, of a stream: "00:00:05.033000000"


def clock_breaks(container: InputContainer) -> bool:
    """Return whether the format's clock may restart midway: MPEG-TS, program streams, Ogg."""
    return bool(Flags(container.format.flags) & Flags.ts_discont)


def ends_midway(path: Path, format_name: str, last_byte: int) -> bool:
    """Return whether a file ends in the middle of something, where FFmpeg drops that silently.

    Args:
        format_name: FFmpeg's name of the container.
        last_byte: where the last packet that was read ends.
    """
    if format_name not in ("avi", "dv", "gif", "ogg", "yuv4mpegpipe"):
        return False
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            if format_name == "gif":
                return not _has_trailer(file)
            start = file.read(8)
            file.seek(max(0, size - _LONGEST_OGG_PAGE))
            tail = file.read()
    except OSError:
        return False
    if format_name == "avi":  # RIFF says its size; what is written as it comes says 0 or the most
        stored = int.from_bytes(start[4:8], "little")
        return start[:4] == b"RIFF" and size < stored + 8 and stored < 0xFFFF_FF00
    if format_name == "ogg":
        page = tail.rfind(b"OggS")
        lengths = tail[page + 27 : page + 27 + tail[page + 26]] if page >= 0 else b""
        return bool(lengths) and len(tail) - page < 27 + len(lengths) + sum(lengths)
    return last_byte < size


def _has_trailer(file: BinaryIO) -> bool:
    """Return whether the blocks of a GIF lead to its trailer, which anything may follow."""
    file.seek(10)
    flags = file.read(1)
    file.seek(13 + _colours_size(flags))
    while (kind := file.read(1)) in (b"!", b","):  # an extension or an image
        if kind == b"!":
            file.seek(1, os.SEEK_CUR)  # which extension
        else:
            flags = file.read(9)[8:]
            file.seek(_colours_size(flags) + 1, os.SEEK_CUR)
        while length := file.read(1).rstrip(b"\0"):
            file.seek(length[0], os.SEEK_CUR)
    return kind == b";"


def _colours_size(flags: bytes) -> int:
    """Return the bytes of a GIF's table of colours, by the flags in front of it."""
    return 6 << (flags[0] & 7) if flags and flags[0] & 0x80 else 0


def origin_s(container: InputContainer) -> Fraction:
    """Return the clock's time at the earliest audio or video; 0 if that is before 0."""
    start_s = Fraction(container.start_time or 0, av.time_base)
    return start_s if clock_breaks(container) else max(start_s, Fraction(0))


def stored_end_s(container: InputContainer, origin: Fraction) -> Fraction | None:
    """Return the file's stored end, counted from `origin`; None if its header does not say."""
    name = container.format.name
    if name.startswith(_MOV):
        ends = [_end_s(s) for s in container.streams if s.type in ("video", "audio")]
        return max((end - origin for end in ends if end is not None), default=None)
    if not container.duration:
        return None
    duration = Fraction(container.duration, av.time_base)
    if name.startswith(_END_STORED):
        return max(duration - origin, Fraction(0))
    if name.startswith("flv"):  # some writers store the end, others the length
        return duration - origin if duration > origin else duration
    return None  # estimated, not stored


def stream_end_s(container: InputContainer, stream: VideoStream, origin: Fraction) -> float | None:
    """Return the end of a stream's last frame, counted from `origin`; None if unknown."""
    end = None
    if container.format.name.startswith(_MOV):
        end = _end_s(stream)
    elif container.format.name.startswith("matroska"):
        end = _parsed(stream.metadata.get(_DURATION_TAG, ""))
        if end is not None:  # a tag may be left over from a longer file
            end = min(end, Fraction(container.duration or 0, av.time_base))
    return None if end is None else float(end - origin)


def _end_s(stream: Stream) -> Fraction | None:
    if not stream.duration or not stream.time_base:
        return None
    return ((stream.start_time or 0) + stream.duration) * stream.time_base


def _parsed(text: str) -> Fraction | None:
    """Convert a time such as "00:00:05.033" to seconds."""
    parts: Iterable[str] = text.split("\0")[0].split(":")
    try:
        hours, minutes, seconds = map(Fraction, parts)
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds
