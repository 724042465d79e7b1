"""The pictures that ship as backgrounds, drawn by code at any size.

A scene is a function that draws a picture of a height; canvas.py has what they share. Frames that
are narrower than that show its middle, or where there is more to see. To add one, write its
function, and give it a name here and in `SCENES` of backgrounds/scene.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np

from vidbg.compositing.scaling import resize
from vidbg.compositing.scenes.canvas import Picture
from vidbg.compositing.scenes.dusk import dusk
from vidbg.compositing.scenes.evening_lights import evening_lights
from vidbg.compositing.scenes.garden import garden
from vidbg.compositing.scenes.paper_waves import paper_waves
from vidbg.compositing.scenes.shelf import shelf
from vidbg.compositing.scenes.studio import slate, studio
from vidbg.compositing.scenes.window_light import window_light
from vidbg.frame import Image

DRAWINGS: Mapping[str, Callable[[int], Picture]] = {
    "studio": studio,
    "slate": slate,
    "window": window_light,
    "shelf": shelf,
    "garden": garden,
    "dusk": dusk,
    "lights": evening_lights,
    "paper": paper_waves,
}
"""What draws each scene: takes the height, returns float32 (height, ceil(16 / 9 height), 3), BGR,
0 to 255.
"""

PORTRAIT_PLACES: Mapping[str, float] = {"window": 0.04, "shelf": 1.0}
"""Where upright and square frames look in a scene whose middle is bare: from 0 at the left to 1."""


def draw_scene(name: str, height: int, width: int, pixel_aspect: Fraction = Fraction(1)) -> Image:
    """Draw a scene that fills a frame; the same picture each time.

    It takes 0.02 to 0.06 s of one core at 1280x720, and twice that at 1920x1080.

    Args:
        name: one of DRAWINGS.
        height, width: of the frame, in pixels.
        pixel_aspect: width of a pixel of the frame over its height.
    Returns:
        uint8 (height, width, 3), BGR, a new array. Its gradients are dithered, so they show no
        bands.
    """
    across = max(1, round(width * pixel_aspect))
    picture = DRAWINGS[name](max(height, -(-across * 9 // 16)))
    place = PORTRAIT_PLACES.get(name, 0.5) if across <= height else 0.5
    top, left = (picture.shape[0] - height) // 2, int((picture.shape[1] - across) * place)
    part = picture[top : top + height, left : left + across]
    # Rounding up as often as the fraction is large keeps every mean
    part = part + np.random.default_rng(0).random(part.shape, np.float32)
    image = np.clip(part, 0, 255, out=part).astype(np.uint8)
    return np.ascontiguousarray(resize(image, height, width))
