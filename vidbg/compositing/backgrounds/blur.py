"""`blur`: the room itself, out of focus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from vidbg.compositing.backgrounds.base import (
    Background,
    BackgroundSpec,
    OpenOptions,
    PanelSetting,
)
from vidbg.errors import ConfigError
from vidbg.util.limits import Limits

BLUR_STRENGTH = Limits(20, 100)
"""Range of strengths. Weaker blur lets faces and book titles be recognised; see
`blur_background`.
"""

DEFAULT_BLUR = 50.0

_REFUSED = (
    f"blur strength {{!r}} cannot be used; give a number from {BLUR_STRENGTH} (below "
    f"{BLUR_STRENGTH.minimum:g} the room could be recognised; only none shows it)"
)


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
        if not BLUR_STRENGTH.minimum <= self.strength <= BLUR_STRENGTH.maximum:
            raise ConfigError(_REFUSED.format(f"{self.strength:g}"))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        word, colon, strength = text.strip().partition(":")
        if word != cls.name:
            return None
        try:
            return cls(float(strength)) if colon else cls()
        except ValueError:
            raise ConfigError(_REFUSED.format(strength)) from None

    def open(self, _options: OpenOptions) -> Background:
        from vidbg.compositing.backgrounds.camera_blur import CameraBackground, blur_background

        return CameraBackground(blur_background, self.strength)

    def __str__(self) -> str:
        return f"{self.name}:{self.strength:.12g}"
