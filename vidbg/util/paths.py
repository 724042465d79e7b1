"""Checks of a path that the user gave. They never raise, whatever the name.

pathlib's own methods raise if a name is too long for the file system or has a null character.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

StrPath = str | os.PathLike[str]

MISSING = "does not exist"
"""What `file_problem` returns for a path that does not exist."""


def exists(path: StrPath) -> bool:
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: StrPath) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: StrPath) -> bool:
    return os.path.isdir(path)  # noqa: PTH112


def resolved(path: StrPath) -> Path:
    """Return the absolute path without links; a link that leads to itself stays as it is."""
    return Path(os.path.realpath(path))


def has_long_name(path: StrPath) -> bool:
    """Return whether a path, or a name in it, is longer than the file system allows."""
    try:
        os.stat(path)  # noqa: PTH116
    except ValueError:  # a null character
        return False
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def file_problem(path: StrPath) -> str | None:
    """Say why a path cannot be read as a file, such as "is a folder"; None if nothing is wrong."""
    if has_long_name(path):
        return "has a name that is too long for any file here"
    if is_folder(path):
        return "is a folder"
    if not exists(path):
        return MISSING
    mode = os.stat(path).st_mode  # noqa: PTH116
    if stat.S_ISFIFO(mode):
        return "is a pipe, which can be read only once; save what it gives as a file"
    if not stat.S_ISREG(mode):
        return "is a device or a socket, not a file"
    return "is empty" if os.path.getsize(path) == 0 else None  # noqa: PTH202
