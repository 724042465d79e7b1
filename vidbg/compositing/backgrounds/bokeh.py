"""`bokeh`: the room itself, as a wide lens shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from vidbg.compositing.backgrounds.base import BackgroundSpec, OpenOptions, PanelSetting
from vidbg.compositing.backgrounds.blur import (
    BLUR_STRENGTH,
    DEFAULT_BLUR,
    check_strength,
    parse_strength,
)

if TYPE_CHECKING:
    from vidbg.compositing.backgrounds.bokeh_room import BokehRoom


@dataclass(frozen=True, slots=True)
class BokehSpec(BackgroundSpec):
    """The room, blurred until nothing in it can be recognised; its lights become discs.

    Attributes:
        strength: within BLUR_STRENGTH.
    Raises:
        ConfigError: the strength is outside that range.
    """

    name = "bokeh"
    usage = f"bokeh, bokeh:{BLUR_STRENGTH.minimum:g} to bokeh:{BLUR_STRENGTH.maximum:g}"
    examples = ("bokeh",)
    made_of_frame = True
    panel_label = "Bokeh"
    panel_setting = PanelSetting("bokeh", "Disc size", DEFAULT_BLUR, BLUR_STRENGTH)

    strength: float = DEFAULT_BLUR

    def __post_init__(self) -> None:
        check_strength(self.strength)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        strength = parse_strength(cls.name, text)
        return None if strength is None else cls(strength)

    def open(self, _options: OpenOptions) -> BokehRoom:
        from vidbg.compositing.backgrounds.bokeh_room import BokehRoom

        return BokehRoom(self.strength)

    def __str__(self) -> str:
        return f"bokeh:{self.strength:.12g}"
