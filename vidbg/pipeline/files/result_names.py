"""Names of the files that results are written to."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from pathlib import Path

from vidbg.sinks.encoding.formats import CONTAINERS
from vidbg.sinks.encoding.formats import PICTURE_SUFFIXES as WRITTEN_PICTURES
from vidbg.sources.files.images_source import is_picture
from vidbg.util.paths import resolved

LONGEST_NAME_BYTES = 255
"""Maximum length of a file name on nearly every file system."""

_SOUND_OF_ALL_KINDS = (".avi", ".ogv", ".vob")
"""Formats whose audio codecs are often supported by .mkv but not by .mp4."""


def result_name(path: Path, transparent: bool, added: str = "") -> str:
    """Return the name of an input's result: the input's own, with a suffix that can hold it.

    Args:
        transparent: the result carries alpha.
        added: goes between the stem and the suffix.
    """
    suffix = path.suffix.lower()
    if is_picture(path):
        keeps = suffix in WRITTEN_PICTURES and not (transparent and suffix in (".jpg", ".jpeg"))
        return _shortened(path.stem, f"{added}{path.suffix if keeps else '.png'}")
    if transparent:
        return _shortened(path.stem, f"{added}{suffix if suffix == '.webm' else '.mov'}")
    other = ".mkv" if suffix in _SOUND_OF_ALL_KINDS else ".mp4"
    return _shortened(path.stem, f"{added}{suffix if suffix in CONTAINERS else other}")


def distinct_names(paths: list[Path], wanted: list[Path]) -> list[Path]:
    """Return the wanted results of inputs, renamed where two would be one file.

    Results of a.jpg and a.bmp get their input's suffix into their names; those that are still
    equal, of x/a.mp4 and y/a.mp4, are numbered.
    """
    counts = Counter(map(folded, wanted))
    named = [
        target
        if counts[folded(target)] == 1
        else target.with_name(_shortened(path.stem, f"_{path.suffix[1:]}{target.suffix}"))
        for path, target in zip(paths, wanted, strict=True)
    ]
    uses: Counter[str] = Counter()
    for number, target in enumerate(named):
        uses[folded(target)] += 1
        if uses[folded(target)] > 1:
            end = f"_{uses[folded(target)]}{target.suffix}"
            named[number] = target.with_name(_shortened(target.stem, end))
    return named


def folded(path: Path) -> str:
    """Normalize a path so that names that some file systems treat as the same compare equal."""
    return unicodedata.normalize("NFC", str(resolved(path.parent) / path.name)).casefold()


def _shortened(stem: str, end: str) -> str:
    """Join `stem` and `end`, cutting the stem if the name is too long for file systems."""
    stored = os.fsencode(stem)
    room = LONGEST_NAME_BYTES - len(os.fsencode(end))
    if len(stored) > room:
        stem = stored[:room].decode(errors="ignore")  # not in the middle of a character
    return stem + end
