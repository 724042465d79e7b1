"""One colour, by name or by code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from vidbg.compositing.backgrounds.base import BackgroundSpec, Bgr, OpenOptions, PanelSetting
from vidbg.errors import ConfigError
from vidbg.util.choices import refusal

if TYPE_CHECKING:
    from vidbg.compositing.backgrounds.image import ImageBackground

CHROMA_GREEN = "#00b140"
"""What `green` means: the green of chroma-key cloth, which keyers expect."""

NAMED_COLOURS = {
    "black": "#000000",
    "white": "#ffffff",
    "gray": "#808080",
    "grey": "#808080",
    "silver": "#c0c0c0",
    "red": "#ff0000",
    "maroon": "#800000",
    "orange": "#ffa500",
    "yellow": "#ffff00",
    "olive": "#808000",
    "lime": "#00ff00",
    "green": CHROMA_GREEN,
    "teal": "#008080",
    "cyan": "#00ffff",
    "blue": "#0000ff",
    "navy": "#000080",
    "magenta": "#ff00ff",
    "purple": "#800080",
    "pink": "#ffc0cb",
}
"""CSS's basic names, except that `green` is chroma-key green (CSS's is #008000)."""


@dataclass(frozen=True, slots=True)
class ColourSpec(BackgroundSpec):
    """One colour.

    Attributes:
        bgr: blue, green, red, each 0 to 255.
    """

    name = "colour"
    usage = "#rrggbb, color:NAME, green"
    examples = ("green",)
    made_of_frame = False
    panel_label = "Colour"
    panel_setting = PanelSetting("colour", "Which colour", CHROMA_GREEN)

    bgr: Bgr

    @classmethod
    def parse(cls, text: str) -> Self | None:
        text = text.strip()
        if text == "green" or text.startswith("#"):
            return cls(parse_colour(text))
        word, colon, colour = text.partition(":")
        return cls(parse_colour(colour)) if word in ("color", "colour") and colon else None

    def open(self, options: OpenOptions) -> ImageBackground:
        import numpy as np

        from vidbg.compositing.backgrounds.image import ImageBackground

        return ImageBackground(np.full((1, 1, 3), self.bgr, np.uint8), "cover", options.bars)

    def __str__(self) -> str:
        blue, green, red = self.bgr
        return f"colour:#{red:02x}{green:02x}{blue:02x}"

    @classmethod
    def suggest(cls, text: str) -> str | None:
        return f"color:{text.casefold()}" if text.casefold() in NAMED_COLOURS else None


def parse_colour(text: str) -> Bgr:
    """Read `#rgb`, `#rrggbb` or a name as (blue, green, red).

    Raises:
        ConfigError: it is none of these; the message lists the names.
    """
    code = NAMED_COLOURS.get(text.strip().lower(), text.strip())
    if re.fullmatch(r"#[0-9a-fA-F]{3}", code):
        code = "#" + "".join(2 * digit for digit in code[1:])
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", code):
        raise ConfigError(refusal("colour", text, ["#rgb", "#rrggbb", *NAMED_COLOURS]))
    red, green, blue = bytes.fromhex(code[1:])
    return blue, green, red
