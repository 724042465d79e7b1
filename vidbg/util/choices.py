"""Validation of named choices, with a suggestion for a wrong name."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Number
from pathlib import Path
from typing import Literal

from vidbg.errors import ConfigError

Device = Literal["auto", "tensorrt", "cuda", "mps", "xpu", "cpu", "intel-gpu", "torch-cpu"]
Precision = Literal["auto", "int8", "bf16", "fp16", "fp32"]
Network = Literal["auto", "resnet50", "light"]
Quality = Literal["fast", "balanced", "best"]
People = Literal["all", "main"]
Fit = Literal["cover", "contain"]
"""How an image fills a frame of another shape: "cover" crops what is left over, "contain" shows all
of it between bars."""
Position = Literal[
    "top-left",
    "top",
    "top-right",
    "left",
    "center",
    "right",
    "bottom-left",
    "bottom",
    "bottom-right",
]
"""A place in a frame."""
Rotation = Literal["0", "90", "180", "270"]
"""Degrees, clockwise."""
PixelFormat = Literal["auto", "MJPG", "YUYV"]
RawFormat = Literal["y4m", "bgr24", "i420"]
Interlaced = Literal["deinterlace", "keep"]
"""Whether interlaced frames are deinterlaced or kept as they are."""
Preset = Literal[
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
]
LogLevel = Literal["debug", "info", "warning", "error"]

_LIKENESS = 0.6
"""How similar two words must be for one to be suggested, from 0 to 1 (difflib's measure)."""


def check_choice(what: str, value: object, allowed: Iterable[str]) -> None:
    """Refuse a value that is not on the list.

    Raises:
        ConfigError: the message suggests a close match and lists what is allowed.
    """
    choices = list(allowed)
    if not isinstance(value, str):
        short = value is None or isinstance(value, Number)
        given = repr(value) if short else f"of the type {type(value).__name__}"
        raise ConfigError(f"{what} is {given}; it must be one of {', '.join(choices)}")
    if value not in choices:
        raise ConfigError(refusal(what, value, choices))


def refusal(what: str, value: object, allowed: Iterable[str]) -> str:
    """Say that a value is unknown, which one was probably meant, and which are allowed.

    Args:
        what: names the kind of value, such as "device".
    """
    choices = list(allowed)
    meant = suggestion(str(value), choices)
    return f"unknown {what} {value!r};{meant} choose from {', '.join(choices)}"


def suggestion(value: str, allowed: Iterable[str]) -> str:
    """Return " did you mean 'X'?" for the closest of the allowed words, "" if none is close."""
    close = closest(value, allowed)
    return "" if close is None else f" did you mean {close!r}?"


def closest(value: str, allowed: Iterable[str]) -> str | None:
    """Find the allowed word that is most like the value; capitals do not matter."""
    from difflib import get_close_matches

    words = {word.casefold(): word for word in allowed}
    matches = get_close_matches(value.strip().casefold(), words, n=1, cutoff=_LIKENESS)
    return words[matches[0]] if matches else None


def similar_file(path: Path) -> str | None:
    """Return the path of the file in the same folder whose name is most like a path's."""
    try:
        names = [file.name for file in path.parent.iterdir() if file.is_file()]
    except OSError:
        return None
    close = closest(path.name, names)
    return None if close is None else str(path.with_name(close))
