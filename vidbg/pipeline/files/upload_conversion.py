"""Conversion of an uploaded file to one of the program's own making.

It runs as a process of its own (`python -m`), with less priority and little memory, so that neither
a decompression bomb nor a decoder that crashes disturbs the run. Only pixels are kept: whatever
else was in the file, such as a script or a place, is not in the new one.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from vidbg.errors import SourceError, VidbgError
from vidbg.frame import Frame, Image, StreamInfo
from vidbg.sinks.encoding.formats import Encoding
from vidbg.sources import open_frames
from vidbg.util.photo_file import is_animated, open_picture, read_picture

MAX_PIXELS, MAX_PICTURE_BYTES = 50_000_000, 40_000_000
"""A picture with more is refused."""

MAX_VIDEO_PIXELS = 3840 * 2160
LONGEST_S = 120.0
"""A video with more pixels in a frame, or that lasts longer, is refused."""

IMAGE_SIDE, VIDEO_SIDE = 3840, 1920
"""The longer side of what is kept, in pixels."""

FASTEST = Fraction(30)
"""Maximum frames per second that are kept of a video."""

_MEMORY = 4 << 30
_CPU_S = 600
REFUSED = 2
"""Exit status for a refused file; the reason is printed."""


def main() -> None:
    """Convert argv[1] to argv[2] with a suffix and print the suffix, or the reason why not."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    _limit_process()
    try:
        sys.stdout.write(convert(source, target).suffix)
        return
    except MemoryError:
        reason = "it needs more memory than an upload may"
    except (VidbgError, cv2.error) as error:
        reason = str(error).replace(str(source), "it")
    sys.stdout.write(reason)
    sys.exit(REFUSED)


def _limit_process() -> None:
    """Limit the priority, time and memory of this process, where the system can."""
    cv2.setNumThreads(1)
    if sys.platform == "win32":
        return
    import resource

    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    if sys.platform == "linux":  # macOS refuses to limit address space
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def convert(source: Path, target: Path) -> Path:
    """Write the picture or video in a file as a new one.

    Raises:
        VidbgError: it is neither, or too large.
    """
    size = _picture_size(source)
    if size is None or is_animated(source):
        return _convert_video(source, target.with_suffix(".mp4"))
    if size[0] * size[1] > MAX_PIXELS:
        raise SourceError(
            f"it has {size[0]}x{size[1]} pixels; allowed are {MAX_PIXELS // 10**6} megapixels: "
            "scale it down first"
        )
    if source.stat().st_size > MAX_PICTURE_BYTES:
        raise SourceError(f"a picture may have {MAX_PICTURE_BYTES // 10**6} MB: save it smaller")
    picture = read_picture(source)
    if picture is None:
        raise SourceError("the picture is damaged and cannot be read")
    image, suffix = picture.image, ".jpg"
    if picture.alpha is not None:
        alpha = np.rint(picture.alpha * 255).astype(np.uint8)
        image, suffix = np.dstack([image, alpha]), ".png"
    path = target.with_suffix(suffix)
    if not cv2.imwrite(str(path), _reduced(image, IMAGE_SIDE), [cv2.IMWRITE_JPEG_QUALITY, 92]):
        raise SourceError("the picture cannot be written")
    return path


def _picture_size(source: Path) -> tuple[int, int] | None:
    """Return the width and height of a still picture; None if it is a GIF or none at all."""
    try:
        with source.open("rb") as file, open_picture(file) as picture:
            return None if picture.format == "GIF" else picture.size
    except Exception:  # Pillow's plug-ins can raise any error on foreign data
        return None


def _convert_video(source: Path, target: Path) -> Path:
    """Write the frames of a video or an animation, without sound, at most 30 a second."""
    # Imported here, because a run imports this module for its limits and never decodes
    from vidbg.sinks.files.video_file_sink import VideoFileSink
    from vidbg.sources.files.untrusted import check_untrusted

    check_untrusted(source, MAX_VIDEO_PIXELS, LONGEST_S)
    with closing(open_frames(source)) as video:
        sink: VideoFileSink | None = None
        next_s = 0.0
        for frame in video:
            if frame.pts > LONGEST_S:
                raise SourceError(f"it lasts more than {LONGEST_S:g} s: cut it first")
            if sink is not None and frame.pts < next_s:
                continue  # more frames a second than are kept
            next_s = frame.pts + float(1 / FASTEST) * 0.9
            image = _reduced(frame.image, VIDEO_SIDE)
            height, width = (side - side % 2 for side in image.shape[:2])
            if sink is None:
                info = StreamInfo(width, height, frame_rate=FASTEST, time_base=Fraction(1, 90_000))
                sink = VideoFileSink(target, info, encoding=Encoding(crf=20, preset="veryfast"))
            image = np.ascontiguousarray(image[:height, :width])
            sink.write(Frame(image, frame.pts, frame.index))
        if sink is None:
            raise SourceError("there is no frame in it that can be read")
        sink.close()
    return target


def _reduced(image: Image, side: int) -> Image:
    """Scale an image down so that its longer side is at most `side`."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    size = max(2, round(width * scale)), max(2, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    main()
