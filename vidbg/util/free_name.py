"""Names for new files that replace no existing ones."""

from __future__ import annotations

import re
import unicodedata
from itertools import count
from pathlib import Path

_LONGEST = 60  # characters of a stem
_UNSAFE = re.compile(r'[<>:"|?*\x00-\x1f\x7f]+')  # characters that Windows forbids in names
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def claim_name(folder: Path, stem: str, suffix: str) -> Path:
    """Make an empty file: "stem.suffix", or "stem 2.suffix" and so on where that exists.

    Args:
        folder: is created if it is missing.
        suffix: with its dot.
    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        path = folder / (f"{stem}{suffix}" if number == 1 else f"{stem} {number}{suffix}")
        try:
            path.open("x").close()
        except FileExistsError:
            continue
        return path
    raise AssertionError("unreachable")


def safe_stem(name: str, instead: str) -> str:
    """Turn a foreign name into a safe stem of a file: no folder, nothing hidden or unprintable.

    Args:
        name: such as "..\\\\holiday/beach.JPG", which becomes "beach".
        instead: what is returned if nothing is left.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    kept = "".join(c for c in _UNSAFE.sub(" ", last) if c.isprintable())
    stem = Path(kept.strip(" .")).stem[:_LONGEST].strip(" .")
    return instead if not stem or _RESERVED.fullmatch(stem) else stem
