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

    def aligned(self, height: int, width: int) -> Crop:
        """Return the nearest crop that begins and ends at whole pixels of a frame of that size."""
        rows = max(1, round(height * self.size))
        size = rows / height
        columns = max(1, round(width * size))
        top = min(max(round(self.y * height - rows / 2), 0), height - rows)
        left = min(max(round(self.x * width - columns / 2), 0), width - columns)
        return Crop((left + columns / 2) / width, (top + rows / 2) / height, size)


FULL_CROP = Crop(0.5, 0.5, 1.0)
"""All of the frame."""
