"""Files that are replaced at once: readers see the old content or the new, never a part."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path


def replace_file(file: Path, content: bytes, *, private: bool = False) -> None:
    """Write a temporary file beside the target, and rename it when it is complete and on disk.

    The folder is created if it is missing. An existing file keeps its permissions, and a link stays
    a link: what it points to is replaced.

    Args:
        private: only this account may read the file, and its folder if that is created; a link is
            replaced.
    Raises:
        OSError: it cannot be written; the old file is untouched and nothing is left behind.
    """
    target = file if private else Path(os.path.realpath(file))
    target.parent.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
    part = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.part")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        kept = None if private or not target.exists() else stat.S_IMODE(target.stat().st_mode)
        mode = 0o666 if kept is None else kept  # never more permissive than it was
        with os.fdopen(os.open(part, flags, 0o600 if private else mode), "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        if kept is not None:
            part.chmod(kept)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
