"""The card that viewers see while the user is away: a text, on an image or a plain ground."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from vidbg.compositing import CompositingConfig
from vidbg.compositing.backgrounds import FileSpec
from vidbg.frame import Image
from vidbg.pipeline.live.away.card_fonts import Font, sized, writable
from vidbg.pipeline.live.outputs.fallback import fallback_image

TOP_LEFT, BOTTOM_RIGHT = (94, 70, 52), (40, 29, 24)
"""BGR of the ground's corners: slate blue, dark enough for a call in a dark room."""

LINES = (240, 233, 228)
"""RGB of text and cup."""

MAX_LINES = 4
LARGEST, SMALLEST = 0.105, 0.042
"""Height of the letters, as a share of the card's height."""

LEADING = 1.32
"""Distance of two lines, as a share of the letters' height."""

TEXT_WIDTH = 0.78
"""Widest line, as a share of the card's width."""

OVERSAMPLING = 4
"""The cup is drawn so many times larger, because Pillow does not smooth lines."""


def away_card(text: str, image: Path | None, width: int, height: int) -> Image:
    """Draw the card.

    Args:
        text: up to four lines; a longer one is cut, and "" leaves it out.
        image: fills the card behind the text, which then stands at its foot; for a video, its first
            frame. None draws a plain ground with a cup.
        width, height: of the card, in pixels.
    Returns:
        uint8 (height, width, 3), BGR; a new array.
    Raises:
        ConfigError: the image cannot be read.
    """
    text, font_name = writable(text.strip())
    lines, font = _fitted(text, font_name, width, height)
    leading = LEADING * font.size
    block = leading * len(lines)
    if image is None:
        ground = _plain_ground(width, height)
        cup = 0.2 * height
        gap = 0.06 * height if lines else 0.0
        top = (height - cup - gap - block) / 2
        canvas = Pillow.fromarray(ground[:, :, ::-1])
        canvas.paste(LINES, *_cup(width, top, round(cup)))
        top += cup + gap
    else:
        ground = fallback_image(CompositingConfig(FileSpec(image)), width, height)
        top = 0.93 * height - block
        if lines:
            ground = _darkened(ground, round(top))
        canvas = Pillow.fromarray(ground[:, :, ::-1])
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        middle = width / 2, top + (number + 0.5) * leading
        draw.text(middle, line, fill=LINES, font=font, anchor="mm")
    return np.ascontiguousarray(np.asarray(canvas, np.uint8)[:, :, ::-1])


def _plain_ground(width: int, height: int) -> Image:
    """Draw a gradient from corner to corner, with a little grain so that it shows no steps."""
    across = np.linspace(0, 0.5, width, dtype=np.float32)[None, :, None]
    down = np.linspace(0, 0.5, height, dtype=np.float32)[:, None, None]
    share = across + down
    corners = np.array([TOP_LEFT, BOTTOM_RIGHT], np.float32)
    ground = (1 - share) * corners[0] + share * corners[1]
    grain = np.random.default_rng(0).uniform(-0.5, 0.5, (height, width, 1)).astype(np.float32)
    return np.asarray(np.clip(np.rint(ground + grain), 0, 255), np.uint8)


def _darkened(image: Image, row: int) -> Image:
    """Darken an image from somewhat above a row on, so that white letters can be read on it."""
    rows = np.arange(image.shape[0], dtype=np.float32)
    share = np.clip((rows - row) / (0.22 * image.shape[0]) + 1, 0, 1)
    shade = (1 - 0.68 * share * share * (3 - 2 * share))[:, None, None]
    return np.asarray(np.rint(image * shade), np.uint8)


def _cup(width: int, top: float, size: int) -> tuple[tuple[int, int], Pillow.Image]:
    """Draw a steaming cup; return where it goes and its opacity, for Image.paste."""
    side = size * OVERSAMPLING
    mask = Pillow.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    stroke = max(1, round(0.042 * side))
    left, right, brim, foot = (round(share * side) for share in (0.16, 0.68, 0.40, 0.84))
    corner = round(0.2 * side)
    body = (left, brim, right, foot)
    draw.rounded_rectangle(
        body, corner, outline=255, width=stroke, corners=(False, False, True, True)
    )
    handle = (
        right - stroke - round(0.09 * side),
        brim + round(0.07 * side),
        right + round(0.19 * side),
        foot - round(0.12 * side),
    )
    draw.arc(handle, -112, 112, 255, stroke)
    saucer = round(0.95 * side)
    draw.line((round(0.1 * side), saucer, round(0.74 * side), saucer), 255, stroke)
    for column in (0.31, 0.42, 0.53):  # steam
        points = [
            (side * (column + 0.022 * math.sin(2 * math.pi * step / 24)), side * (0.05 + step / 90))
            for step in range(25)
        ]
        draw.line(points, 255, round(0.8 * stroke), joint="curve")
    smooth = cv2.resize(np.asarray(mask), (size, size), interpolation=cv2.INTER_AREA)
    shift = round(0.05 * size)  # the handle would draw it to the right
    return (round((width - size) / 2) + shift, round(top)), Pillow.fromarray(smooth)


def _fitted(text: str, font_name: str | None, width: int, height: int) -> tuple[list[str], Font]:
    """Break a text into lines, in the largest letters in which it fits; cut it if none is small.

    Returns:
        At most MAX_LINES lines, and their font.
    """
    sizes = [round(share * height) for share in np.linspace(LARGEST, SMALLEST, 8)]
    lines: list[str] = []
    for number, size in enumerate(sizes):
        font = sized(font_name, max(8, size))
        lines = _wrapped(text, font, TEXT_WIDTH * width)
        # A long text looks better in smaller letters than in many lines
        if len(lines) <= min(MAX_LINES, 2 + number // 3):
            return lines, font
    if len(lines) > MAX_LINES:
        last = lines[MAX_LINES - 1]
        while last and font.getlength(f"{last}…") > TEXT_WIDTH * width:
            last = last[:-1].rstrip()
        lines = [*lines[: MAX_LINES - 1], f"{last}…"]
    return lines, font


def _wrapped(text: str, font: Font, limit: float) -> list[str]:
    """Break a text into lines at spaces, or within words that are too long for a line."""
    lines = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            joined = f"{line} {word}" if line else word
            if font.getlength(joined) <= limit:
                line = joined
                continue
            if line:
                lines.append(line)
            line = ""
            for character in word:  # Chinese and Japanese have no spaces
                if line and font.getlength(line + character) > limit:
                    lines.append(line)
                    line = ""
                line += character
        if line:
            lines.append(line)
    return lines
