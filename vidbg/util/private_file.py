"""Files that only their owner may read or write."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_OTHERS = 0o077
"""Permissions of everyone but the owner."""


def read_private(file: Path, at_most: int) -> bytes | None:
    """Read the beginning of a file that only this account can read or write.

    Links are not followed. Windows keeps the folders of an account private, so nothing is checked
    there.

    Args:
        at_most: bytes to read.
    Returns:
        What it holds; None if other accounts could read or write it, or have put it there.
    Raises:
        OSError: it cannot be read.
    """
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if hasattr(os, "geteuid") and (
            status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & _OTHERS
        ):
            return None
        return opened.read(at_most)
