"""The pictures of the tray icon."""

from __future__ import annotations

from typing import Literal

from PIL import Image, ImageDraw

Mood = Literal["on air", "paused", "off"]

SIZES = (22, 44)
"""In pixels; desktops scale the closest."""

_FINER = 8
"""Drawn so many times larger, for smooth edges."""

_GREY, _LIGHT = (128, 128, 128, 255), (247, 247, 242, 255)
_BEHIND = {"on air": (47, 111, 179, 255), "paused": (201, 138, 27, 255), "off": _GREY}
_RED = (214, 40, 40, 255)


def pixmaps(mood: Mood) -> list[tuple[int, int, bytes]]:
    """Return width, height and pixels of the icon in each size: ARGB, the highest byte first."""
    result = []
    for size in SIZES:
        red, green, blue, alpha = draw(mood, size).split()
        argb = Image.merge("RGBA", (alpha, red, green, blue))
        result.append((size, size, argb.tobytes()))
    return result


def draw(mood: Mood, size: int) -> Image.Image:
    """Draw a person before a background: with a red dot on air, with two bars while paused."""
    unit = size * _FINER / 64
    large = Image.new("RGBA", (size * _FINER, size * _FINER))
    pen = ImageDraw.Draw(large)

    def box(left: float, top: float, right: float, bottom: float) -> tuple[float, ...]:
        return left * unit, top * unit, right * unit, bottom * unit

    pen.rounded_rectangle(box(2, 8, 62, 56), 10 * unit, fill=_BEHIND[mood])
    if mood == "paused":
        for left in (21, 36):
            pen.rounded_rectangle(box(left, 20, left + 8, 45), 2 * unit, fill=_LIGHT)
    else:
        pen.ellipse(box(23, 15, 41, 34), fill=_LIGHT)
        pen.pieslice(box(14, 36, 50, 76), 180, 360, fill=_LIGHT)
    if mood == "on air":
        pen.ellipse(box(44, 2, 64, 22), fill=_RED, outline=_LIGHT, width=round(2 * unit))
    return large.resize((size, size), Image.Resampling.LANCZOS)
