"""Source for a sequence of photos."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from vidbg.errors import SourceError
from vidbg.frame import Frame, StreamInfo
from vidbg.util.lifecycle import Closeable
from vidbg.util.photo_file import (
    UNREAD_SUFFIXES,
    Picture,
    begins_like_photo,
    is_photo,
    read_picture,
)
from vidbg.util.picture_names import PICTURE_SUFFIXES


class ImagesSource(Closeable):
    """Source of photos, possibly of different sizes; the nth has pts n, in seconds.

    See `read_picture` for what becomes of orientation, colour profiles and depth. The images are
    new arrays.

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
        self._first: Picture | None = _read_photo(self._paths[0])
        height, width = self._first.image.shape[:2]
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
            first, self._first = self._first, None
            picture = first or _read_photo(self._paths[index])
            yield Frame(picture.image, float(index), index, picture.alpha)

    def close(self) -> None:
        self._closed.set()


def is_picture(path: Path) -> bool:
    """Return whether a file is a photo: by its content if that tells, or else by its name.

    An animated GIF, WebP, PNG or AVIF counts as a video.
    """
    suffix = path.suffix.lower()
    if suffix in UNREAD_SUFFIXES:
        return True
    by_content = is_photo(path)
    return suffix in PICTURE_SUFFIXES if by_content is None else by_content


def _read_photo(path: Path) -> Picture:
    """Read a photo, or raise SourceError with what is wrong with it."""
    picture = read_picture(path)
    if picture is None:
        size = path.stat().st_size
        if not size:
            raise SourceError(f"{path} is empty (0 bytes); get the file again")
        if begins_like_photo(path):
            raise SourceError(
                f"the picture {path} is damaged or breaks off ({size} bytes); get the file again"
            )
        raise SourceError(
            f"{path} is not a picture, or it is broken ({size} bytes); "
            f"allowed are {', '.join(PICTURE_SUFFIXES)}"
        )
    return picture
