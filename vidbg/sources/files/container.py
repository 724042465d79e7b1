"""Opening of video containers, with a one-line reason when one cannot be read."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import BinaryIO

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vidbg.errors import SourceError
from vidbg.util.paths import exists, has_long_name
from vidbg.util.photo_file import needs_repacking
from vidbg.util.quiet_opencv import quiet_opencv

_ALLOWED = "any video that FFmpeg reads (.mp4, .mov, .mkv, .webm, .avi, .ts, .y4m, .gif ...)"
_TEXT_ART = {"tty", "idf", "bin", "xbin", "adf"}  # FFmpeg renders text files as on a terminal
_PICTURE = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def source_name(file: str | Path | BinaryIO) -> str:
    """Return the input's name for messages."""
    if isinstance(file, str | Path):
        return "standard input" if str(file) == "-" else str(file)
    return str(getattr(file, "name", "the input stream"))


def open_container(file: str | Path | BinaryIO, name: str) -> InputContainer:
    """Open the input and read its header.

    Raises:
        SourceError: missing, a folder, empty, not readable, or no container that FFmpeg knows.
    """
    readable: object
    if not isinstance(file, str | Path):
        seekable = getattr(file, "seekable", None)
        readable = file if seekable is not None and seekable() else _PipeReader(file)
    elif str(file) == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise SourceError(
                "standard input is not a pipe; pipe a video into it, or give a file's name"
            )
        # Unbuffered, because Python cannot end while a thread that hangs in read() holds the
        # buffer's lock
        readable = _PipeReader(getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))
    elif "://" in str(file):
        readable = str(file)
    else:
        readable = _checked_file(Path(file), name)
    try:
        container = av.open(readable, "r", metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SourceError(_why_refused(file, name, error)) from error
    if container.format.name in _TEXT_ART:
        container.close()
        raise SourceError(f"{name} is a text file, not a video; allowed is {_ALLOWED}")
    return container


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """Return the stream to read: FFmpeg's best one that is not a cover image.

    Raises:
        SourceError: there is none, or FFmpeg has no decoder for it.
    """
    streams = [s for s in container.streams.video if not s.disposition & _PICTURE]
    if not streams:
        kinds = {"cover picture" if s.type == "video" else s.type for s in container.streams}
        others = f", only {', '.join(sorted(kinds))}" if kinds else ""
        raise SourceError(f"{name} has no video stream{others}; give a file with a video")
    best = container.streams.best("video")
    stream = best if best in streams else streams[0]
    if not isinstance(stream, VideoStream) or stream.codec_context is None:
        raise SourceError(f"{name}: this FFmpeg has no decoder for its video; convert it to H.264")
    return stream


def _checked_file(path: Path, name: str) -> object:
    """Return what av.open can read of a file: its path, or an animation as an APNG in memory."""
    if has_long_name(path):
        raise SourceError(f"the name {name} is too long for any file here; check it")
    if not exists(path):
        raise SourceError(f"there is no file {name}; check the spelling and the folder")
    if path.is_dir():
        raise SourceError(f"{name} is a folder, not a video; name the file in it")
    if path.is_file() and path.stat().st_size == 0:
        raise SourceError(f"{name} is empty (0 bytes); allowed is {_ALLOWED}")
    if path.is_file() and needs_repacking(path):
        # OpenCV decodes this animation, FFmpeg does not
        with quiet_opencv():  # it prints an error of its own
            done, animation = cv2.imdecodeanimation(np.fromfile(path, np.uint8))
        if not done:
            raise SourceError(
                f"{name}: this animation cannot be decoded; is it complete? Else convert it to GIF "
                "or MP4"
            )
        return io.BytesIO(cv2.imencodeanimation(".png", animation)[1].tobytes())
    return str(path.absolute())  # absolute: a colon in the name must not look like a protocol


def _why_refused(file: str | Path | BinaryIO, name: str, error: Exception) -> str:
    """Say why FFmpeg cannot open an input, and what to do."""
    if isinstance(error, PermissionError) and "://" not in name:
        return f"{name} may not be read: permission denied; check its rights (ls -l)"
    if isinstance(error, av.error.InvalidDataError):
        if not isinstance(file, str | Path) or str(file) == "-":
            return (
                f"{name} is not a video that can be read from a pipe; allowed are y4m, Matroska, "
                "MPEG-TS, MJPEG and MP4 with its index in front; otherwise give the file's name"
            )
        try:
            with Path(file).open("rb") as opened:
                start = opened.read(12)
        except OSError:
            start = b""
        if start[4:8] in (b"ftyp", b"mdat", b"wide"):
            return (
                f"{name} is an MP4 or MOV file without its index (moov): the recording or the "
                "download broke off; get the file again, or repair it with a tool such as untrunc"
            )
        return f"{name} is not a video, or broken from the start; allowed is {_ALLOWED}"
    reason = getattr(error, "strerror", None) or str(error)
    return f"{name} cannot be read: {reason}; allowed is {_ALLOWED}"


class _PipeReader:
    """Reader that gives av.open the data available now instead of waiting to fill its buffer."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read = getattr(stream, "read1", stream.read)
