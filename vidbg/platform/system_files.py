"""Small files of the system, such as those in /sys and /proc."""

from __future__ import annotations

from pathlib import Path


def content(file: Path) -> str:
    """Read a small file, stripped of white space; "" if it cannot be read."""
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
