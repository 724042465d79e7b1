"""Fallback images for when there is no composited frame: the background or a card."""

from __future__ import annotations

from contextlib import closing

import cv2
import numpy as np

from vidbg.compositing import CompositingConfig, Compositor
from vidbg.compositing.foreground_layer import ForegroundLayer
from vidbg.frame import Frame, Image
from vidbg.sources import open_frames

_TOP, _BOTTOM = (74, 60, 52), (38, 31, 27)
_LINE = (170, 160, 152)


def fallback_image(compositing: CompositingConfig, width: int, height: int) -> Image:
    """Return the background without a person, or a card if it is made from the camera image.

    A video gives its first frame. The overlay is drawn over either.

    Returns:
        uint8 (height, width, 3), BGR; a new array.
    Raises:
        ConfigError: the background or the overlay cannot be read.
    """
    if not compositing.background.standalone:
        slate = Frame(card(width, height), 0.0, 0)
        if compositing.overlay is None:
            return slate.image
        return ForegroundLayer(compositing.overlay).draw(slate, compositing.placement).image
    nobody = Frame(np.zeros((height, width, 3), np.uint8), 0.0, 0)
    with closing(Compositor(compositing, open_frames)) as compositor:
        return compositor(nobody, np.zeros((height, width), np.float32)).image.copy()


def card(width: int, height: int) -> Image:
    """Draw a plain card with a crossed-out camera.

    Returns:
        uint8 (height, width, 3), BGR; a new array.
    """
    slope = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    rows = (1 - slope) * np.array(_TOP, np.float32) + slope * np.array(_BOTTOM, np.float32)
    picture = np.ascontiguousarray(np.broadcast_to(rows, (height, width, 3)).round(), np.uint8)
    _draw_camera(picture, min(width, height) / 8)
    return picture


def _draw_camera(picture: Image, unit: float) -> None:
    """Draw a camera's body, the lens hood to its right, and a stroke through both."""
    height, width = picture.shape[:2]
    thick = max(1, round(unit / 9))

    def at(x: float, y: float) -> tuple[int, int]:
        return round(width / 2 + x * unit), round(height / 2 + y * unit)

    cv2.rectangle(picture, at(-1.2, -0.7), at(0.5, 0.7), _LINE, thick, cv2.LINE_AA)
    hood = np.array([at(0.5, -0.15), at(1.2, -0.6), at(1.2, 0.6), at(0.5, 0.15)], np.int32)
    cv2.polylines(picture, [hood], False, _LINE, thick, cv2.LINE_AA)
    cv2.line(picture, at(-1.25, 1.1), at(1.1, -1.1), _BOTTOM, 3 * thick, cv2.LINE_AA)
    cv2.line(picture, at(-1.3, 1.1), at(1.05, -1.1), _LINE, thick, cv2.LINE_AA)
