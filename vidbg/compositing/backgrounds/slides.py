"""`slides`: the pictures of a folder, one after another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from vidbg.compositing.backgrounds.base import BackgroundSpec, OpenOptions
from vidbg.errors import ConfigError
from vidbg.util.limits import Limits
from vidbg.util.paths import MISSING, exists, is_folder
from vidbg.util.picture_names import PICTURE_SUFFIXES, pictures_in

if TYPE_CHECKING:
    from vidbg.compositing.backgrounds.slide_show import SlideShow

SLIDE_SECONDS = Limits(1, 86400)
"""How long a picture may stay."""

DEFAULT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class SlidesSpec(BackgroundSpec):
    """The pictures of a folder, in the order of their names, again and again.

    Attributes:
        folder: text is converted to a path.
        seconds: how long each picture stays, within SLIDE_SECONDS.
    Raises:
        ConfigError: the seconds are outside that range.
    """

    name = "slides"
    usage = "slides:FOLDER, slides:FOLDER:SECONDS"
    examples = ()
    made_of_frame = False

    folder: Path
    seconds: float = DEFAULT_SECONDS

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        SLIDE_SECONDS.check("the time of a slide", self.seconds, "s")

    @classmethod
    def parse(cls, text: str) -> Self | None:
        word, colon, rest = text.partition(":")
        if word.strip() != cls.name or not colon:
            return None
        folder, colon, tail = rest.rpartition(":")
        try:
            seconds = float(tail)
        except ValueError:
            folder, seconds = rest, DEFAULT_SECONDS
        if not folder.strip():
            raise ConfigError(f"{text!r} names no folder; give {cls.usage}")
        return cls(Path(folder).expanduser(), seconds)

    def open(self, options: OpenOptions) -> SlideShow:
        from vidbg.compositing.backgrounds.slide_show import SlideShow

        return SlideShow(self.folder, self.seconds, options.fit, options.bars)

    def __str__(self) -> str:
        return f"slides:{self.folder}:{self.seconds:.12g}"

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(pictures_in(self.folder))

    def problem(self) -> tuple[Path, str] | None:
        if not exists(self.folder):
            return self.folder, MISSING
        if not is_folder(self.folder):
            return self.folder, "is not a folder"
        if not self.files:
            return self.folder, f"holds no pictures (known are {', '.join(PICTURE_SUFFIXES)})"
        return None

    def resolved_in(self, folder: Path) -> Self:
        return type(self)(folder / self.folder, self.seconds)
