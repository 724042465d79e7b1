"""`transparent`: no background at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from vidbg.compositing.backgrounds.base import BackgroundSpec, OpenOptions


@dataclass(frozen=True, slots=True)
class TransparentSpec(BackgroundSpec):
    """No background: frames carry their alpha."""

    name = "transparent"
    usage = "transparent"
    examples = ("transparent",)
    made_of_frame = False
    transparent = True

    @classmethod
    def parse(cls, text: str) -> Self | None:
        return cls() if text.strip() == "transparent" else None

    def open(self, _options: OpenOptions) -> None:
        return None

    def __str__(self) -> str:
        return "transparent"
