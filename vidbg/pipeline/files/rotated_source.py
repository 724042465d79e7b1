"""Source whose frames are turned by right angles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from vidbg.frame import Frame, StreamInfo
from vidbg.picture.framing import rotate
from vidbg.sources import Source
from vidbg.util.choices import Rotation
from vidbg.util.lifecycle import Closeable


class RotatedSource(Closeable):
    """Turns another source's frames clockwise; closes that source with itself.

    Args:
        source: of the frames.
        degrees: "90", "180" or "270".
    """

    def __init__(self, source: Source, degrees: Rotation) -> None:
        self._source, self._degrees = source, degrees

    @property
    def info(self) -> StreamInfo:
        info = self._source.info
        if self._degrees == "180":
            return info
        aspect = 1 / info.sample_aspect_ratio
        return replace(info, width=info.height, height=info.width, sample_aspect_ratio=aspect)

    @property
    def relay(self) -> Any:
        """Where the source puts audio and subtitles; None if nowhere."""
        return getattr(self._source, "relay", None)

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            yield rotate(frame, self._degrees)

    def close(self) -> None:
        self._source.close()
