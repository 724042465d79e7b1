"""File metadata to copy to the output: title, dates, place, chapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

_OF_THE_FILE_ITSELF = (
    *("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id"),
    *(
        "timecode",
        "handler_name",
        "alpha_mode",
        "stereo_mode",
        "bps",
        "number_of_frames",
        "number_of_bytes",
    ),
    *("rotate", "variant_bitrate", "wm/", "isvbr", "devicetype", "metadatacreator"),
)
"""Beginnings of the names of tags that describe how the file is stored, not what it shows."""


def kept_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that also apply to the output."""
    return {
        key: value
        for key, value in tags.items()
        if not key.lower().startswith((*_OF_THE_FILE_ITSELF, "_statistics"))
    }


def moved_chapters(chapters: Sequence[Any], origin: Fraction) -> list[Any]:
    """Return PyAV's chapters, counted from `origin`, without those that end before it."""
    moved = []
    for chapter in chapters:
        ticks = round(origin / (chapter["time_base"] or 1))
        start, end = max(0, chapter["start"] - ticks), chapter["end"] - ticks
        if end > 0:
            moved.append({**chapter, "start": start, "end": max(start, end)})
    return moved
