"""Fonts for the text on the away card, in any script that this computer can write."""

from __future__ import annotations

import logging
import shutil
import subprocess
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from PIL import ImageFont, features

logger = logging.getLogger(__name__)

SYSTEM_FONTS = (
    "segoeui.ttf", "msyh.ttc", "YuGothM.ttc", "malgun.ttf", "Nirmala.ttc",  # Windows
    "SFNS.ttf", "Arial Unicode.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc",  # macOS
    "NotoSans-Regular.ttf", "DejaVuSans.ttf", "NotoSansCJK-Regular.ttc",  # Linux without fontconfig
)  # fmt: skip
"""Files that Pillow looks for in the system's folders of fonts."""

FONTCONFIG_PATIENCE_S = 3.0

NO_CHARACTER = "\U0010fffe"
"""What no font has, to learn what a font draws in place of a missing character."""

INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn")
"""Categories of characters that are left out: controls, joiners, and what means nothing."""

LEGIBLE = 0.6
"""A text of which fewer words than this share can be written is left out as a whole."""

Font = ImageFont.FreeTypeFont


def writable(text: str) -> tuple[str, str | None]:
    """Choose a font for a text, and leave out the characters that it cannot write.

    Pillow's own font comes first. It has plain Latin letters alone, so for anything else fontconfig
    is asked, where it is installed, and then the fonts that Windows, macOS and Linux ship.

    Returns:
        The text that can be written, and the font's file for `sized`; None for Pillow's own.
    """
    kept = ""
    for character in text:
        # A selector asks for a coloured picture, which these fonts do not have
        is_selector = "\ufe00" <= character <= "\ufe0f"
        is_invisible = unicodedata.category(character) in INVISIBLE
        if character == "\n" or not (is_selector or is_invisible):
            kept += character
    best: tuple[int, str, str | None] = (-1, "", None)
    for name in _candidates(kept):
        covered = _covered(name, kept)
        if len(covered) > best[0]:
            best = len(covered), covered, name
        if len(covered) == len(kept):
            break
    _, covered, name = best
    if len(covered) < len(kept):
        missing = "".join(dict.fromkeys(c for c in kept if c not in covered))
        logger.warning("no font here can write %s, so the away card leaves it out", missing)
        if len(covered.split()) < LEGIBLE * len(kept.split()):  # what is left makes no sense
            return "", None
    return covered, name


@lru_cache(64)
def sized(name: str | None, size: int) -> Font:
    """Open a font at a size in pixels.

    Raises:
        OSError: there is no such font.
    """
    if name is None:
        font = ImageFont.load_default(size)
        if not isinstance(font, Font):  # Pillow was built without FreeType
            raise OSError("Pillow has no scalable font")
        return font
    file, _, index = name.partition("#")
    return ImageFont.truetype(file, size, index=int(index or 0))


def _candidates(text: str) -> Iterator[str | None]:
    yield None
    if (best_match := _from_fontconfig(text)) is not None:
        yield best_match
    yield from SYSTEM_FONTS


def _from_fontconfig(text: str) -> str | None:
    """Ask fontconfig for the font of the interface that has these characters."""
    program = shutil.which("fc-match")
    wanted = " ".join(sorted({f"{ord(c):x}" for c in text if not c.isspace()}))
    if program is None or not wanted:
        return None
    command = [program, "-f", "%{file}#%{index}", f"sans-serif:charset={wanted}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FONTCONFIG_PATIENCE_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        logger.debug("fontconfig does not answer: %s", error)
        return None
    return done.stdout or None


def _covered(name: str | None, text: str) -> str:
    """Return the part of a text that a font can write, with its spaces."""
    try:
        # Without shaping, where each character is a glyph: marks are otherwise drawn on a circle
        font = sized(name, 24).font_variant(layout_engine=ImageFont.Layout.BASIC)
        missing = bytes(font.getmask(NO_CHARACTER))
    except OSError:
        return ""
    shapes = features.check("raqm")
    kept = []
    for character in text:
        is_space = character.isspace()
        # Scripts that are written from the right, or that join their letters, need shaping
        right_to_left = unicodedata.bidirectional(character) in ("R", "AL")
        joined = 0x0900 <= ord(character) <= 0x109F
        if not is_space and not shapes and (right_to_left or joined):
            continue
        if is_space or bytes(font.getmask(character)) != missing:
            kept.append(character)
    return "".join(kept)
