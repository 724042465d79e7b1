"""The path of an image, a video or an animated image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from vidbg.compositing.backgrounds.base import Background, BackgroundSpec, OpenOptions
from vidbg.errors import ConfigError, SourceError
from vidbg.util.paths import file_problem

if TYPE_CHECKING:
    from vidbg.compositing.backgrounds.image import ImageBackground


@dataclass(frozen=True, slots=True)
class FileSpec(BackgroundSpec):
    """An image, a video or an animated image such as a GIF.

    Attributes:
        path: text is converted to a path.
    """

    name = "file"
    usage = "the path of an image, video or GIF"
    examples = ()
    made_of_frame = False

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read any text as a path.

        Raises:
            ConfigError: it is a URL.
        """
        if "://" in text:
            raise ConfigError(
                f"background {text.partition('?')[0]!r} is an address; download the image or video "
                "and give its path"
            )
        return cls(Path(text).expanduser())

    def open(self, options: OpenOptions) -> Background:
        image = self._read_image(options)
        if image is not None:
            return image
        from vidbg.compositing.backgrounds.video import VideoBackground

        open_stream = partial(options.open_frames, self.path)
        try:
            return VideoBackground(open_stream, options.fit, options.bars, str(self.path))
        except SourceError as error:
            raise ConfigError(
                f"background {str(self.path)!r} can be read as neither image nor video: {error}"
            ) from error

    def _read_image(self, options: OpenOptions) -> ImageBackground | None:
        """Read a still image; None if it is animated or no image."""
        from vidbg.compositing.backgrounds.image import ImageBackground
        from vidbg.compositing.blend import flatten
        from vidbg.util.photo_file import is_animated, read_picture

        if is_animated(self.path):
            return None
        try:
            picture = read_picture(self.path)
        except SourceError as error:
            raise ConfigError(f"background {str(self.path)!r} cannot be used: {error}") from error
        if picture is None:
            return None
        image = flatten(picture.image, picture.alpha, options.bars)
        return ImageBackground(image, options.fit, options.bars, picture.pixel_aspect)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def problem(self) -> tuple[Path, str] | None:
        problem = file_problem(self.path)
        return None if problem is None else (self.path, problem)

    def resolved_in(self, folder: Path) -> Self:
        return type(self)(folder / self.path)
