"""The part of a frame that is shown."""

from __future__ import annotations

from typing import NamedTuple


class Crop(NamedTuple):
    """A part of a frame, of the frame's shape.

    Attributes:
        x, y: its centre, as shares of the frame's width and height.
        size: its width and height, as a share of the frame's.
    """

    x: float
    y: float
    size: float

    def inside(self) -> Crop:
        """Return the nearest crop that lies wholly in the frame."""
        size = min(self.size, 1.0)
        low, high = size / 2, 1 - size / 2
        return Crop(min(max(self.x, low), high), min(max(self.y, low), high), size)


FULL_CROP = Crop(0.5, 0.5, 1.0)
"""All of the frame."""
