"""Overlays of the preview window, drawn by functions that take and return images."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidbg.frame import Image

QUESTION = "Show your real room to everyone?"
ROOM_VISIBLE = "YOUR ROOM IS VISIBLE"
KEYS = (
    ("b / n", "next background"),
    ("p", "previous background"),
    ("m", "mirror this preview only"),
    ("f", "frame rate, latency and state"),
    ("s", "show the real room, or hide it"),
    ("h / ?", "this help"),
    ("q / Esc", "quit"),
)

LIVE = "live"
"""The state when everything works."""

Rows = Sequence[Sequence[str]]
"""Rows of columns; every row has the same length."""

_FONT = 0  # cv2.FONT_HERSHEY_SIMPLEX, without importing OpenCV
_WHITE, _RED = (255, 255, 255), (30, 30, 215)
_SHADE = 0.3
"""Brightness left under text: white on it keeps a contrast of 8 : 1 over a white picture."""


@dataclass(frozen=True, slots=True)
class PreviewStatus:
    """The program's status.

    Attributes:
        state: in a word, LIVE or another, which is shown even where figures are not.
        fps: output frames per second; None if unknown.
        latency_ms: from camera to output; None if unknown.
        note: what the user should know, in a sentence; always shown.
    """

    state: str
    fps: float | None = None
    latency_ms: float | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """Options for showing an image.

    Attributes:
        mirror: swap left and right, except for text.
        figures: show the status's frame rate, latency and state.
        room_visible: the image is the real room, and every viewer sees it.
        answer_s: seconds left to answer whether to show the room; None: no question.
        help: show the keys.
        hint: mention the help key.
    """

    status: PreviewStatus | None = None
    mirror: bool = False
    figures: bool = False
    room_visible: bool = False
    answer_s: float | None = None
    help: bool = False
    hint: bool = False

    @property
    def corner(self) -> str:
        """The text for the upper left corner."""
        status = self.status
        if status is None:
            return ""
        if not self.figures:
            return "" if status.state == LIVE else status.state
        fps = "" if status.fps is None else f"  {status.fps:.1f} FPS"
        latency = "" if status.latency_ms is None else f"  {status.latency_ms:.0f} ms"
        return status.state + fps + latency


def draw_view(image: Image, view: View) -> Image:
    """Draw the image as the window shows it, in a new array of the same size.

    Args:
        image: uint8 (H, W, 3), BGR; it is not written to.
    """
    import cv2

    canvas = np.asarray(cv2.flip(image, 1), np.uint8) if view.mirror else image.copy()
    top = 0
    if view.room_visible:
        edge = max(2, round(min(canvas.shape[:2]) * 0.014))
        canvas[:edge], canvas[-edge:] = _RED, _RED
        canvas[:, :edge], canvas[:, -edge:] = _RED, _RED
        top = _draw_panel(canvas, [[ROOM_VISIBLE]], size=1.4, fill=_RED)
    if view.corner:
        _draw_panel(canvas, [[view.corner]], x_share=0.0, top=top)
    note = None if view.status is None else view.status.note
    if foot := note or ("h: keys" if view.hint and not view.help else ""):
        # As many letters per line as fit into the image at the default font size
        letter = _text_width("n" * 20, _font_scale(canvas), 1) / 20
        lines = textwrap.wrap(foot, max(10, int(canvas.shape[1] * 0.85 / letter)))
        _draw_panel(canvas, [[line] for line in lines], y_share=1.0)
    if view.answer_s is not None:
        answers = f"y = yes    n = no    ({math.ceil(view.answer_s)} s)"
        _draw_panel(canvas, [[QUESTION], [answers]], y_share=0.5, size=1.4)
    elif view.help:
        _draw_panel(canvas, KEYS, y_share=0.5)
    return canvas


def _font_scale(canvas: Image) -> float:
    """Return a font scale: capitals of 14 pixels at 640 x 360, 33 at 1920 x 1080."""
    return 0.15 + float(min(canvas.shape[:2])) / 1000


def _draw_panel(
    canvas: Image,
    rows: Rows,
    *,
    x_share: float = 0.5,
    y_share: float = 0.0,
    size: float = 1.0,
    top: int = 0,
    fill: tuple[int, int, int] | None = None,
) -> int:
    """Draw rows of columns on a shaded rectangle, scaled to fit.

    Args:
        x_share, y_share: where it stands: 0 left or top, 1 right or bottom.
        size: of the font, 1 is the usual.
        top: line below which it stands.
        fill: colour instead of the shade.
    Returns:
        its last line.
    """
    margin = round(min(canvas.shape[:2]) * 0.03)
    room_y, room_x = canvas.shape[0] - top - 2 * margin, canvas.shape[1] - 2 * margin
    scale = size * _font_scale(canvas)
    panel = Panel(rows, scale)
    fitting = min(1.0, room_x / panel.width, room_y / panel.height)
    if fitting < 1.0:
        panel = Panel(rows, scale * fitting * 0.98)  # whole pixels may round up
    x = max(0, margin + round(x_share * (room_x - panel.width)))
    y = max(0, top + margin + round(y_share * (room_y - panel.height)))
    area = canvas[y : y + panel.height, x : x + panel.width]
    area[:] = (area * _SHADE).astype(np.uint8) if fill is None else np.array(fill, np.uint8)
    panel.write(area)
    return int(y + panel.height)


class Panel:
    """Rows of columns as text, measured.

    Args:
        scale: of the font.
    Attributes:
        width, height: of the whole, in pixels.
    """

    def __init__(self, rows: Rows, scale: float) -> None:
        # OpenCV 4's fonts have ASCII only
        self._rows = [[text.encode("ascii", "replace").decode() for text in row] for row in rows]
        self._scale, self._stroke = scale, max(1, round(scale * 2))
        self._line, self._gap = max(1, round(scale * 44)), round(scale * 24)
        self._columns = [
            max(_text_width(text, scale, self._stroke) for text in column)
            for column in zip(*self._rows, strict=True)
        ]
        self.width = sum(self._columns) + self._gap * (len(self._columns) + 1)
        self.height = self._line * len(rows) + self._gap // 2

    def write(self, area: Image) -> None:
        """Write the text into an image of this size; a row of one column is centred."""
        import cv2

        for index, row in enumerate(self._rows):
            x, base = self._gap, self._gap // 4 + round((index + 0.7) * self._line)
            for text, width in zip(row, self._columns, strict=True):
                centring = (width - _text_width(text, self._scale, self._stroke)) // 2
                place = (x + (centring if len(row) == 1 else 0), base)
                cv2.putText(
                    area, text, place, _FONT, self._scale, _WHITE, self._stroke, cv2.LINE_AA
                )
                x += width + self._gap


def _text_width(text: str, scale: float, stroke: int) -> int:
    import cv2

    return int(cv2.getTextSize(text, _FONT, scale, stroke)[0][0])
