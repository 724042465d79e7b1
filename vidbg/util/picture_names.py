"""Names of the photos that can be read."""

from __future__ import annotations

from pathlib import Path

PICTURE_SUFFIXES = (
    ".avif", ".bmp", ".dib", ".heic", ".heif", ".hif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe",
    ".jpeg", ".jpf", ".jpg", ".jpx", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".psd",
    ".qoi", ".sgi", ".tga", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Suffixes of the pictures that `read_picture` reads, in lower case.

A GIF is a picture if it has one frame, and a video if it has more.
"""


def pictures_in(folder: Path) -> list[Path]:
    """List a folder's photos by name, without hidden files; none if it cannot be listed."""
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES]
    except OSError:
        return []
    return sorted((p for p in paths if not p.name.startswith(".")), key=lambda path: path.name)
