"""`none`: the camera's own frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from vidbg.compositing.backgrounds.base import BackgroundSpec, OpenOptions


@dataclass(frozen=True, slots=True)
class PassthroughSpec(BackgroundSpec):
    """The camera's own frames, room included: only ever on explicit request."""

    name = "none"
    usage = "none (shows the room)"
    examples = ("none",)
    made_of_frame = True
    shows_room = True

    @classmethod
    def parse(cls, text: str) -> Self | None:
        return cls() if text.strip() == "none" else None

    def open(self, _options: OpenOptions) -> None:
        return None

    def __str__(self) -> str:
        return "none"
