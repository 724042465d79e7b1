"""Thumbnails of backgrounds for the panel, cheap enough to make during a live run."""

from __future__ import annotations

import logging
from contextlib import closing
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
from vidbg.sources import open_frames
from vidbg.util.photo_file import decode_picture, open_picture

logger = logging.getLogger(__name__)

HEIGHT, WIDTH = 108, 192
"""Size of the thumbnails, in pixels."""

_MAX_PIXELS = 50_000_000  # for formats decoded in full (not JPEG): 200 MB with alpha
_KEPT = 1000  # thumbnails of about 8 kB each


def thumbnail(path: Path) -> bytes | None:
    """Make a JPEG thumbnail of a background file; log a warning and return None on failure.

    It is cached until the file changes. Make one call at a time.
    """
    try:
        status = path.stat()
    except OSError as error:
        logger.warning("no small picture of %s: %s", path, error)
        return None
    return _made(path, status.st_mtime_ns, status.st_size)


@lru_cache(_KEPT)
def _made(path: Path, _changed_ns: int, _bytes: int) -> bytes | None:
    try:
        picture = _picture(path)
    except Exception as error:  # files may contain anything, and decoders fail in many ways
        logger.warning("no small picture of %s: %s", path, error)
        return None
    return cv2.imencode(".jpg", picture)[1].tobytes()


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
