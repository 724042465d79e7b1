"""What the user asks for as a background, in words and as a type."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from vidbg.choices import closest, refusal
from vidbg.errors import ConfigError

Bgr = tuple[int, int, int]

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

DEFAULT_BLUR = 50.0

MIN_BLUR, MAX_BLUR = 20.0, 100.0
"""Weaker blur would leave faces and the titles of books recognisable; see `blur_background`."""
WORDS = ("blur", "green", "transparent", "none")

ALLOWED = (
    f"allowed are the path of a picture, video or GIF, blur, blur:{MIN_BLUR:g} to "
    f"blur:{MAX_BLUR:g}, #rrggbb, color:NAME, green, transparent, none"
)


@dataclass(frozen=True, slots=True)
class FileSpec:
    """A picture, a video or an animated GIF; text is converted to a path."""

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))


@dataclass(frozen=True, slots=True)
class BlurSpec:
    """The room itself, blurred beyond recognition; strength MIN_BLUR to MAX_BLUR.

    Raises:
        ConfigError: the strength is out of that range.
    """

    strength: float = DEFAULT_BLUR

    def __post_init__(self) -> None:
        if not MIN_BLUR <= self.strength <= MAX_BLUR:
            raise ConfigError(_blur_refusal(f"{self.strength:g}"))


@dataclass(frozen=True, slots=True)
class ColourSpec:
    """One colour, 0 to 255 each of blue, green, red."""

    bgr: Bgr


@dataclass(frozen=True, slots=True)
class TransparentSpec:
    """No background: frames carry their alpha."""


@dataclass(frozen=True, slots=True)
class PassthroughSpec:
    """The camera's own picture, the room included: only ever on explicit request."""


BackgroundSpec = FileSpec | BlurSpec | ColourSpec | TransparentSpec | PassthroughSpec


def parse_background(spec: str | os.PathLike[str]) -> BackgroundSpec:
    """Read what the user wrote after `--background`; a path object is always a file.

    `blur`, `blur:40`, `#rgb`, `#rrggbb`, `color:NAME`, `green`, `transparent` and `none` are words;
    anything else is a path. A file with such a name is meant by `./green`. Whether a path can be
    read is seen by `open_background`.

    Raises:
        ConfigError: it is empty or no text, or a colour or strength cannot be used.
    """
    if not isinstance(spec, str | os.PathLike):
        raise ConfigError(f"the background is {spec!r}; {ALLOWED}")
    if not isinstance(spec, str):
        return FileSpec(Path(spec).expanduser())
    match spec.strip().partition(":"):
        case "", "", "":
            raise ConfigError(f"no background given; {ALLOWED}")
        case "none", "", "":
            return PassthroughSpec()
        case "transparent", "", "":
            return TransparentSpec()
        case "blur", colon, strength:
            return BlurSpec(_parse_strength(strength) if colon else DEFAULT_BLUR)
        case "green", "", "":
            return ColourSpec(parse_colour(CHROMA_GREEN))
        case "color" | "colour", ":", colour:
            return ColourSpec(parse_colour(colour))
    if spec.strip().startswith("#"):
        return ColourSpec(parse_colour(spec))
    return FileSpec(Path(spec).expanduser())


def meant_background(path: Path) -> str | None:
    """What a path that does not exist was probably meant to be: a word, or a file beside it."""
    word = path.name.casefold()
    if word in NAMED_COLOURS:
        return f"color:{word}"
    try:
        files = [file.name for file in path.parent.iterdir() if file.is_file()]
    except OSError:
        files = []
    close = closest(path.name, files)
    if close is not None:
        return str(path.with_name(close))
    return closest(word, WORDS)


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


def _parse_strength(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(_blur_refusal(text)) from None


def _blur_refusal(strength: str) -> str:
    return (
        f"blur strength {strength!r} cannot be used; give a number from {MIN_BLUR:g} to "
        f"{MAX_BLUR:g} (below {MIN_BLUR:g} the room could be recognised; only none shows it)"
    )
