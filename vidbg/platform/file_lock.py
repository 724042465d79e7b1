"""Locks of files, which tell files of running processes from those left behind.

The system releases a lock when its process ends, however it ends.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    _LOCKED_BYTE = 1 << 30  # beyond the content, which others could not read under a lock

    def lock_file(descriptor: int) -> None:
        """Lock an open file until it is closed; OSError if another process has locked it."""
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

    def is_locked(file: Path) -> bool:
        """Return whether a process has locked a file; OSError if it cannot be opened."""
        with file.open("r+b") as opened:
            try:
                lock_file(opened.fileno())
            except OSError:
                return True
            return False

else:
    import fcntl

    def lock_file(descriptor: int) -> None:
        """Lock an open file until it is closed; wait if another process has locked it."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    def is_locked(file: Path) -> bool:
        """Return whether a process has locked a file; OSError if it cannot be opened."""
        with file.open("rb") as opened:
            try:
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False
