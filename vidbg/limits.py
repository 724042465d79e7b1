"""The ranges that numbers are kept to by the command line, the panel and the library alike."""

from __future__ import annotations

from typing import NamedTuple

from vidbg.errors import ConfigError


class Limits(NamedTuple):
    """A range of numbers, both ends included."""

    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.least:g} to {self.most:g}"

    def check(self, name: str, value: float) -> None:
        """Refuse a number out of range, infinity and NaN among them.

        Args:
            name: of what has the value, for the message.
        Raises:
            ConfigError: the message gives the value and the range.
        """
        if not self.least <= value <= self.most:
            raise ConfigError(f"{name} is {value:g}; allowed are {self}")


OFFSET_PX = Limits(-100, 100)
FEATHER_PX = Limits(0, 100)
LIGHT_WRAP = Limits(0, 1)
SMOOTHING_S = Limits(0, 10)
THREADS = Limits(1, 1024)
FRAMES_PER_SECOND = Limits(0.1, 240)
SIDE_PX = Limits(16, 8192)
"""Width and height of what a camera is asked for."""
