"""Pictures, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.closing import Closing
from vidbg.errors import SourceError
from vidbg.frame import Alpha, Frame, Image, StreamInfo
from vidbg.paths import is_file

PICTURE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Suffixes of the pictures that ImagesSource reads, in lower case."""

_NEVER_TRANSPARENT = (".jpeg", ".jpg", ".ppm")


class ImagesSource(Closing):
    """Gives pictures, possibly of different sizes; the nth has pts n, in seconds.

    Pictures are turned upright as their EXIF orientation says (those with an alpha channel are
    taken as they are), and 16-bit and grey ones become uint8 BGR. The images are new arrays.

    Args:
        paths: the pictures, in order; the first is read when the source is opened.
    Raises:
        SourceError: no paths; or, when its turn comes, a picture is missing or cannot be read.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        if not paths:
            raise SourceError(
                f"there is no picture to read; allowed are {', '.join(PICTURE_SUFFIXES)}"
            )
        self._paths = [Path(path) for path in paths]
        self._closed = threading.Event()
        self._index = 0
        height, width = read_picture(self._paths[0])[0].shape[:2]
        self._info = StreamInfo(
            width=width,
            height=height,
            time_base=Fraction(1),
            frame_count=len(self._paths),
            duration_s=float(len(self._paths)),
            stills=True,
        )

    @property
    def info(self) -> StreamInfo:
        """`width` and `height` are the first picture's."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        while self._index < len(self._paths) and not self._closed.is_set():
            index, self._index = self._index, self._index + 1
            image, alpha = read_picture(self._paths[index])
            yield Frame(image, float(index), index, alpha)

    def close(self) -> None:
        self._closed.set()


def read_picture(path: Path) -> tuple[Image, Alpha | None]:
    """A picture as uint8 BGR, and its alpha where it is transparent anywhere; new arrays.

    Raises:
        SourceError: missing, a folder, or no picture that can be decoded.
    """
    data = _read_bytes(path)
    if path.suffix.lower() not in _NEVER_TRANSPARENT:
        stored = _decode(data, cv2.IMREAD_UNCHANGED)
        if stored is not None and stored.ndim == 3 and stored.shape[2] == 4:
            return _split(_eight_bits(stored))
    picture = _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)  # turns it upright, too
    if picture is None:
        raise SourceError(
            f"{path} is not a picture, or it is broken ({len(data)} bytes); "
            f"allowed are {', '.join(PICTURE_SUFFIXES)}"
        )
    return _eight_bits(picture), None


def is_picture(path: Path) -> bool:
    """Whether a name is a picture's; an animated WebP counts as a video."""
    named = path.suffix.lower() in PICTURE_SUFFIXES
    return named and not (is_file(path) and is_animated_webp(path))


def is_animated_webp(path: Path) -> bool:
    """Whether a file is a WebP with several frames, which VideoFileSource reads.

    False also for a file that cannot be opened.
    """
    try:
        with path.open("rb") as file:
            head = file.read(21)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 0x02)


def _read_bytes(path: Path) -> NDArray[np.uint8]:
    try:  # not cv2.imread, which cannot open every name on Windows
        return np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(
            f"the picture {path} cannot be read: {error.strerror}; check the name and its rights"
        ) from error


def _decode(data: NDArray[np.uint8], flags: int) -> NDArray[Any] | None:
    try:
        return cv2.imdecode(data, flags) if data.size else None
    except cv2.error:  # OpenCV refuses a picture of more than 2^30 pixels this way
        return None


def _eight_bits(picture: NDArray[Any]) -> Image:
    """8-bit samples from 8- or 16-bit ones, or from floats in [0, 1]."""
    if picture.dtype == np.uint8:
        return picture
    scale = 255.0 if picture.dtype.kind == "f" else 255.0 / np.iinfo(picture.dtype).max
    return np.rint(np.clip(picture * scale, 0, 255)).astype(np.uint8)


def _split(bgra: Image) -> tuple[Image, Alpha | None]:
    image, alpha = np.ascontiguousarray(bgra[..., :3]), bgra[..., 3]
    if int(alpha.min()) == 255:
        return image, None
    return image, alpha.astype(np.float32) / np.float32(255)
