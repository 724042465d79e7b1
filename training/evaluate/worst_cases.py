"""Contact sheets of the images that a network does worst."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from training.data.image_sets import read_sample
from training.evaluate.image_scores import Scored
from training.evaluate.predict import Predict
from vidbg.compositing import composite_foreground
from vidbg.frame import Alpha, Image

GREEN, RED, BLUE = (80, 177, 0), (50, 50, 255), (255, 130, 30)
PAPER, INK = 24, (235, 235, 235)
SHEET_WIDTH = 2400
PANEL_HEIGHT, MAX_PANEL_HEIGHT = 300, 400
"""Target height when tiles are enlarged to fill a line, and the limit if there are few tiles."""

GAP, LINE_HEIGHT, FONT_SIZE = 8, 28, 0.7
LEGEND = "image | person on green | errors: red = background kept, blue = person missing"

Panels = tuple[Image, Image, Image]
"""An image, its person on green, its errors: uint8 (H, W, 3) of one size."""

Tile = tuple[list[str], Panels]
"""Captions and the panels below them."""


def worst_cases(rows: Sequence[Scored], count: int) -> list[Scored]:
    """Return at most `count` rows with errors, the worst first."""
    return sorted((row for row in rows if row.badness > 0), key=lambda row: -row.badness)[:count]


def worst_sheet(predict: Predict, rows: Sequence[Scored], title: str) -> Image:
    """Draw each image beside its composite and its errors, in the order given.

    Args:
        predict: the function whose alpha was scored.
        rows: the images.
        title: the heading.
    Returns:
        uint8 (H, SHEET_WIDTH, 3), BGR.
    """
    tiles: list[Tile] = []
    for place, row in enumerate(rows, 1):
        image, mask = read_sample(row.sample)
        alpha = predict(image)
        person = composite_foreground(image, alpha, np.full_like(image, GREEN))
        panels = image, person, _errors(image, alpha, np.float32(1 / 255) * mask)
        tiles.append((_captions(place, row), panels))
    lines = [_draw_line(line) for line in _lines(tiles)]
    head = _text([title, LEGEND], SHEET_WIDTH - 2 * GAP)
    return np.vstack([_pad(head, GAP, GAP, 2 * GAP), *lines])


def _captions(place: int, row: Scored) -> list[str]:
    if row.people:
        line = "IoU {iou:.3f}   MAD {mad:.1f}   boundary F {boundary_f:.3f}".format(**row.scores)
    else:
        line = f"{row.scores['person_share']:.1%} called person"
    return [f"{place}. {row.set_name}/{row.sample.image.stem}", line]


def _errors(image: Image, alpha: Alpha, truth: Alpha) -> Image:
    """Mark errors on a dark grey image: red for background kept, blue for person missing."""
    errors = np.repeat(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None] * np.float32(0.5), 3, 2)
    for colour, wrong in ((RED, alpha - truth), (BLUE, truth - alpha)):
        weight = np.clip(wrong, 0, 1)[..., None]
        errors += weight * (np.array(colour, np.float32) - errors)
    return np.asarray(np.rint(errors), np.uint8)


def _lines(tiles: Sequence[Tile]) -> list[list[Tile]]:
    """Break the tiles into lines whose panels are about PANEL_HEIGHT high."""
    lines: list[list[Tile]] = []
    for tile in tiles:
        if lines and _misfit([*lines[-1], tile]) <= _misfit(lines[-1]):
            lines[-1].append(tile)
        else:
            lines.append([tile])
    return lines


def _misfit(line: Sequence[Tile]) -> float:
    return abs(math.log(_panel_height(line) / PANEL_HEIGHT))


def _panel_height(line: Sequence[Tile]) -> int:
    """Compute the panels' height at which the tiles fill the sheet's width."""
    aspects = [panels[0].shape[1] / panels[0].shape[0] for _, panels in line]
    return max(1, int((SHEET_WIDTH - 2 * GAP * len(line)) / (3 * sum(aspects))))


def _draw_line(line: Sequence[Tile]) -> Image:
    height = min(_panel_height(line), MAX_PANEL_HEIGHT)
    tiles = []
    for captions, panels in line:
        scale = height / panels[0].shape[0]
        size = (max(1, int(panels[0].shape[1] * scale)), height)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        strip = np.hstack([cv2.resize(panel, size, interpolation=method) for panel in panels])
        tiles.append(_pad(np.vstack([_text(captions, strip.shape[1]), strip]), GAP, GAP, 0))
    drawn = np.hstack(tiles)
    return _pad(drawn, 0, SHEET_WIDTH - drawn.shape[1], 2 * GAP)


def _text(lines: Sequence[str], width: int) -> Image:
    """Draw lines of text, uint8 (H, width, 3), smaller if they would not fit."""
    strip = np.full((len(lines) * LINE_HEIGHT + GAP, width, 3), PAPER, np.uint8)
    for index, text in enumerate(lines):
        (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, FONT_SIZE, 1)
        size = FONT_SIZE * min(1.0, width / length)
        place = (0, (index + 1) * LINE_HEIGHT - GAP)
        cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
    return strip


def _pad(image: Image, left: int, right: int, below: int) -> Image:
    paper = (PAPER, PAPER, PAPER)
    padded = cv2.copyMakeBorder(image, 0, below, left, right, cv2.BORDER_CONSTANT, value=paper)
    return np.asarray(padded, np.uint8)
