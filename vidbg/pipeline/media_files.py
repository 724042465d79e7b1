"""Images and videos in folders."""

from __future__ import annotations

from pathlib import Path

from vidbg.errors import SourceError
from vidbg.util.paths import is_file
from vidbg.util.picture_names import PICTURE_SUFFIXES

VIDEO_SUFFIXES = (
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg",
    ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
)  # fmt: skip
"""Suffixes of videos in folders. A file given by name is tried whatever its suffix."""


def visible_in(folder: Path) -> list[Path]:
    """List a folder's entries by name, without hidden files such as macOS's ._talk.mp4.

    Raises:
        SourceError: it cannot be listed.
    """
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise SourceError(f"the folder {folder} cannot be listed: {error.strerror}") from error


def media_in(paths: list[Path], source: str) -> list[Path]:
    """Return the paths that are images or videos.

    Raises:
        SourceError: there are none; `source` names where the paths came from.
    """
    known = {*PICTURE_SUFFIXES, *VIDEO_SUFFIXES}
    media = [p for p in paths if p.suffix.lower() in known and is_file(p)]
    if not media:
        raise SourceError(
            f"no pictures or videos in {source!r}; known are {', '.join(sorted(known))}"
        )
    return media
