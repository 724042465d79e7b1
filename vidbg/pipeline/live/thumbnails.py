"""Small pictures of backgrounds for the panel, made beside a live run at little cost."""

from __future__ import annotations

import logging
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from vidbg.compositing import CompositingConfig, Compositor
from vidbg.compositing.backgrounds import FileSpec
from vidbg.compositing.scaling import fill
from vidbg.errors import ConfigError
from vidbg.frame import Frame, Image
from vidbg.sources import open_frames
from vidbg.util.photo_file import decode_picture, open_picture

logger = logging.getLogger(__name__)

HEIGHT, WIDTH = 108, 192
"""Of the small pictures, in pixels."""

_MOST_PIXELS = 50_000_000  # of what is decoded whole: 200 MB with its alpha; JPEG is not
_KEPT = 1000  # small pictures, of some 8 kB


def thumbnail(path: Path) -> bytes | None:
    """A JPEG of how a file fills a frame; None, and a warning, where there can be none.

    It is kept until the file changes. One call at a time.
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
    except Exception as error:  # files hold anything, and decoders fail in many ways
        logger.warning("no small picture of %s: %s", path, error)
        return None
    return cv2.imencode(".jpg", picture)[1].tobytes()


def _picture(path: Path) -> Image:
    """The file as a background, at the size of a small picture.

    Raises:
        ConfigError: it is too large to be decoded beside a run.
    """
    try:
        with path.open("rb") as file, open_picture(file) as opened:
            if opened.format == "JPEG":
                return _reduced(opened, path)
            size = opened.size
    except UnidentifiedImageError:
        with closing(open_frames(path)) as video:
            size = video.info.width, video.info.height
    if size[0] * size[1] > _MOST_PIXELS:
        raise ConfigError(
            f"{size[0]}x{size[1]} is too large; allowed are {_MOST_PIXELS // 1_000_000} megapixels"
        )
    nothing = Frame(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 0.0, 0)
    with closing(Compositor(CompositingConfig(FileSpec(path)), open_frames)) as compositor:
        return compositor.background_image(nothing)


def _reduced(opened: Pillow.Image, path: Path) -> Image:
    """A JPEG decoded at an eighth of its size or more, as far as the small picture needs."""
    opened.draft("RGB", (2 * WIDTH, 2 * WIDTH))  # upright or lying
    return fill(decode_picture(opened, path).image, HEIGHT, WIDTH, "cover", (0, 0, 0))
