"""Ranges of numbers, for options and other values."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from vidbg.errors import ConfigError


class Limits(NamedTuple):
    """A range of numbers, both ends included."""

    minimum: float
    maximum: float

    def __str__(self) -> str:
        if self.maximum == math.inf:
            return f"{self.minimum:.9g} or more"
        return f"{self.minimum:.9g} to {self.maximum:.9g}"

    def check(self, name: str, value: float, unit: str = "") -> None:
        """Refuse a number out of range, including infinity and NaN.

        Args:
            name: what has the value, for the message.
            unit: of the range, such as "px".
        Raises:
            ConfigError: the message gives the value and the range.
        """
        if not self.minimum <= value <= self.maximum:
            raise ConfigError(f"{name} is {value:.9g}; allowed are {self} {unit}".rstrip())


FRAMES_PER_SECOND = Limits(0.1, 240)
SIDE_PX = Limits(16, 8192)
"""Width and height of the frames that a camera is asked for."""

MIN_PIXELS, MAX_PIXELS = 128 * 128, 2048 * 2048
"""Pixels of the network's input."""


def check_size(name: str, width: int, height: int) -> None:
    """Refuse a frame size whose sides are out of range.

    Args:
        name: what has the size, for the message.
    Raises:
        ConfigError: the message gives the size and the range.
    """
    if not SIDE_PX.minimum <= min(width, height) <= max(width, height) <= SIDE_PX.maximum:
        raise ConfigError(f"{name} is {width}x{height}; allowed are sides of {SIDE_PX} pixels")


def parse_size(name: str, text: str) -> tuple[int, int]:
    """Read "1280x720" as (width, height).

    Args:
        name: what has the size, for the message.
    Raises:
        ConfigError: it is not a size, or a side is out of range.
    """
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text.strip().lower())
    if match is None:
        raise ConfigError(f"{name} {text!r} is not a size; give WIDTHxHEIGHT, such as 1280x720")
    width, height = int(match[1]), int(match[2])
    check_size(name, width, height)
    return width, height
