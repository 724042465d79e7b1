"""`blur`: the room itself, out of focus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from vidbg.compositing.backgrounds.base import BackgroundSpec, OpenOptions, PanelSetting
from vidbg.errors import ConfigError
from vidbg.util.limits import Limits

if TYPE_CHECKING:
    from vidbg.compositing.backgrounds.blurred_room import BlurredRoom

BLUR_STRENGTH = Limits(20, 100)
"""Range of strengths. Weaker blur lets faces and book titles be recognised; see
`blur_background`.
"""

DEFAULT_BLUR = 50.0


@dataclass(frozen=True, slots=True)
class BlurSpec(BackgroundSpec):
    """The room, blurred until nothing in it can be recognised.

    Attributes:
        strength: within BLUR_STRENGTH.
    Raises:
        ConfigError: the strength is outside that range.
    """

    name = "blur"
    usage = f"blur, blur:{BLUR_STRENGTH.minimum:g} to blur:{BLUR_STRENGTH.maximum:g}"
    examples = ("blur",)
    made_of_frame = True
    panel_label = "Blur"
    panel_setting = PanelSetting("strength", "Strength", DEFAULT_BLUR, BLUR_STRENGTH)

    strength: float = DEFAULT_BLUR

    def __post_init__(self) -> None:
        check_strength(self.strength)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        strength = parse_strength(cls.name, text)
        return None if strength is None else cls(strength)

    def open(self, _options: OpenOptions) -> BlurredRoom:
        from vidbg.compositing.backgrounds.blurred_room import BlurredRoom

        return BlurredRoom(self.strength)

    def __str__(self) -> str:
        return f"blur:{self.strength:.12g}"


def parse_strength(name: str, text: str) -> float | None:
    """Read NAME or NAME:STRENGTH; None if the text is another one.

    Raises:
        ConfigError: the strength is no number.
    """
    word, colon, strength = text.strip().partition(":")
    if word != name:
        return None
    try:
        return float(strength) if colon else DEFAULT_BLUR
    except ValueError:
        raise ConfigError(_refusal(strength)) from None


def check_strength(strength: float) -> None:
    """Refuse a strength outside BLUR_STRENGTH.

    Raises:
        ConfigError: the message says what is allowed, and why.
    """
    if not BLUR_STRENGTH.minimum <= strength <= BLUR_STRENGTH.maximum:
        raise ConfigError(_refusal(f"{strength:g}"))


def _refusal(strength: str) -> str:
    return (
        f"blur strength {strength!r} cannot be used; give a number from {BLUR_STRENGTH} (below "
        f"{BLUR_STRENGTH.minimum:g} the room could be recognised; only none shows it)"
    )
