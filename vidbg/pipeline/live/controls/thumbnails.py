"""Thumbnails of backgrounds for the panel, cheap enough to make during a live run."""

from __future__ import annotations

import hashlib
import logging
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import UnidentifiedImageError

from vidbg.compositing import CompositingConfig, Compositor
from vidbg.compositing.backgrounds import BackgroundSpec, FileSpec, parse_background
from vidbg.compositing.scaling import fill
from vidbg.errors import ConfigError
from vidbg.frame import Frame, Image
from vidbg.platform.folders import cache_folder
from vidbg.sources import open_frames
from vidbg.util.atomic_file import replace_file
from vidbg.util.photo_file import decode_picture, open_picture

logger = logging.getLogger(__name__)

HEIGHT, WIDTH = 108, 192
"""Size of the thumbnails, in pixels."""

_MAX_PIXELS = 50_000_000  # for formats decoded in full (not JPEG): 200 MB with alpha
_KEPT = 1000  # thumbnails of about 8 kB each, in memory and on disk
_DRAWN_AS = 1
"""Changes with what the thumbnails look like, so that those of an earlier version are not used."""


def thumbnail(path: Path) -> bytes | None:
    """Make a JPEG thumbnail of a background file; log a warning and return None on failure.

    It is kept in memory and in the cache folder until the file changes. Make one call at a time.
    """
    try:
        status = path.stat()
    except OSError as error:
        logger.warning("no small picture of %s: %s", path, error)
        return None
    return _made(path, status.st_mtime_ns, status.st_size)


@lru_cache(_KEPT)
def _made(path: Path, changed_ns: int, size_bytes: int) -> bytes | None:
    """Make a thumbnail, or take the one that an earlier run made of the same file."""
    key = f"{_DRAWN_AS} {size_bytes} {changed_ns} {path.absolute()}".encode(
        errors="surrogateescape"
    )
    name = f"{hashlib.sha256(key).hexdigest()[:32]}.jpg"
    kept = None
    with suppress(OSError, RuntimeError):  # a cache that cannot be read, or no home
        kept = cache_folder() / "thumbnails" / name
        jpeg = kept.read_bytes()
        if jpeg.startswith(b"\xff\xd8") and jpeg.endswith(b"\xff\xd9"):
            return jpeg
    try:
        jpeg = cv2.imencode(".jpg", _picture(path))[1].tobytes()
    except Exception as error:  # files may contain anything, and decoders fail in many ways
        logger.warning("no small picture of %s: %s", path, error)
        return None
    if kept is not None:
        with suppress(OSError):
            replace_file(kept, jpeg, private=True)
            files = sorted(kept.parent.glob("*.jpg"), key=lambda file: file.stat().st_mtime)
            for old in files[:-_KEPT]:
                old.unlink()
    return jpeg


@lru_cache(_KEPT)
def drawn_thumbnail(background: str) -> bytes:
    """Make a JPEG thumbnail of a background that needs neither a file nor the camera's frame."""
    return cv2.imencode(".jpg", _rendered(parse_background(background)))[1].tobytes()


def _picture(path: Path) -> Image:
    """Load the file as a background at thumbnail size.

    Raises:
        ConfigError: it is too large to be decoded during a run.
    """
    try:
        with path.open("rb") as file, open_picture(file) as opened:
            if opened.format == "JPEG":
                # Decode a JPEG at an eighth of its size or more, as large as the thumbnail needs.
                opened.draft("RGB", (2 * WIDTH, 2 * WIDTH))  # portrait or landscape
                return fill(decode_picture(opened, path).image, HEIGHT, WIDTH, "cover", (0, 0, 0))
            size = opened.size
    except UnidentifiedImageError:
        with closing(open_frames(path)) as video:
            size = video.info.width, video.info.height
    if size[0] * size[1] > _MAX_PIXELS:
        raise ConfigError(
            f"{size[0]}x{size[1]} is too large; allowed are {_MAX_PIXELS // 1_000_000} megapixels"
        )
    return _rendered(FileSpec(path))


def _rendered(background: BackgroundSpec) -> Image:
    nothing = Frame(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 0.0, 0)
    with closing(Compositor(CompositingConfig(background), open_frames)) as compositor:
        return compositor.background_image(nothing)
