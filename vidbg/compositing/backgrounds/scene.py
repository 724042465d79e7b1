"""`scene`: a picture that vidbg draws itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Self

from vidbg.compositing.backgrounds.base import BackgroundSpec, OpenOptions
from vidbg.errors import ConfigError
from vidbg.util.choices import refusal

if TYPE_CHECKING:
    from vidbg.compositing.backgrounds.drawn import DrawnBackground

SCENES: Mapping[str, str] = {
    "studio": "Warm studio",
    "slate": "Cool studio",
    "window": "Window light",
    "shelf": "Bookshelves",
    "garden": "Garden",
    "dusk": "Dusk",
    "lights": "Evening lights",
    "paper": "Paper waves",
}
"""The scenes by name, with what the page calls them."""


@dataclass(frozen=True, slots=True)
class SceneSpec(BackgroundSpec):
    """A calm picture that needs no file.

    Attributes:
        scene: one of SCENES.
    Raises:
        ConfigError: there is no such scene.
    """

    name = "scene"
    usage = "scene:NAME (" + ", ".join(SCENES) + ")"
    examples = ("scene:studio",)
    made_of_frame = False
    panel_pictures: ClassVar[Mapping[str, str]] = {
        f"scene:{scene}": label for scene, label in SCENES.items()
    }

    scene: str

    def __post_init__(self) -> None:
        if self.scene not in SCENES:
            raise ConfigError(refusal("scene", self.scene, SCENES))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        word, _, scene = text.strip().partition(":")
        return cls(scene.strip().casefold()) if word == cls.name else None

    def open(self, _options: OpenOptions) -> DrawnBackground:
        from vidbg.compositing.backgrounds.drawn import DrawnBackground
        from vidbg.compositing.scenes import draw_scene

        return DrawnBackground(partial(draw_scene, self.scene))

    def __str__(self) -> str:
        return f"{self.name}:{self.scene}"

    @classmethod
    def suggest(cls, text: str) -> str | None:
        return f"{cls.name}:{text.casefold()}" if text.casefold() in SCENES else None
