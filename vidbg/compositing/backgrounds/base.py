"""The interface of a background kind, and of what it opens.

Importing this module or one that defines a kind loads neither NumPy nor OpenCV, because the command
line builds its help text from the kinds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

if TYPE_CHECKING:
    from pathlib import Path

    from vidbg.compositing.scaling import Fit
    from vidbg.frame import Alpha, Frame, Image
    from vidbg.util.limits import Limits

Bgr = tuple[int, int, int]
"""A colour: blue, green, red, each 0 to 255."""


class Background(ABC):
    """An open background: provides the image behind each frame.

    Attributes:
        fade_s: how long one of its pictures takes to replace another, if it has several; may be set
            at any time between frames.
    """

    fade_s: float = 0.0

    @abstractmethod
    def at(self, frame: Frame, alpha: Alpha) -> Image:
        """Return the image behind a frame.

        Args:
            frame: the camera's frame, for its size, pts and pixel aspect; not to be written to.
            alpha: float32 (H, W) in [0, 1], of that frame.
        Returns:
            uint8 (H, W, 3), BGR, of the frame's size; the caller must not write to it. The same
            array again has the same content.
        """

    def close(self) -> None:  # noqa: B027  (most backgrounds hold nothing)
        """Release files; may be called more than once."""


class FrameStream(Protocol):
    """The frames of a video in order, as a video background reads them from a source."""

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...


class OpenFrames(Protocol):
    """Opens a video or GIF from its start; raises SourceError if it cannot."""

    def __call__(self, path: Path, /, *, again: bool = False) -> FrameStream:
        """Open the file; `again`: not for the first time, so its oddities are not logged again."""
        ...


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """What a kind may use to open a background.

    Attributes:
        fit: how an image of another shape fills the frame.
        bars: BGR of the bars around it, and behind its transparent parts.
        open_frames: opens a video file.
    """

    fit: Fit
    bars: Bgr
    open_frames: OpenFrames


@dataclass(frozen=True, slots=True)
class PanelSetting:
    """The one value of a background that the control panel can adjust while it is shown.

    Attributes:
        name: its key in the panel's JSON, such as "strength".
        label: what the panel's page calls it.
        default: its value before the user changes it.
        limits: of a number, shown as a slider; None for a colour, "#rrggbb".
    """

    name: str
    label: str
    default: float | str
    limits: Limits | None = None


class BackgroundSpec(ABC):
    """A kind of background; an instance is one background that a user asked for.

    A kind is a frozen dataclass, so that two requests can be compared, and the members below are
    all that the rest of the program knows about it: help text, errors, suggestions, the control
    panel, the live run and the compositor ask these and never for a certain class.

    Attributes:
        name: of the kind, such as "blur".
        usage: how it is written after `--background`, for the help text and errors.
        examples: complete texts that ask for it. A misspelt one is suggested in an error, and the
            contract test opens each of them.
        made_of_frame: whether its image is computed from the camera's frame. The person then keeps
            the colours that the camera saw, and nothing can be shown before there is a frame.
        transparent: whether composited frames have no background and carry their alpha instead,
            which a live output cannot show.
        shows_room: whether viewers see the camera's frame as it is. No alpha is computed for it,
            and the program warns about it. Only `none` does.
        panel_label: the button that chooses it on the control panel; None for no button.
        panel_pictures: texts of this kind that the panel's gallery offers, and their labels.
        panel_setting: what the panel can adjust; `NAME:VALUE` must then be a text of this kind.

    To add a background:

    1. Write `backgrounds/NAME.py` with a subclass: the first four attributes, `parse`, `open` and
       `__str__`. Import NumPy, OpenCV and the like inside `open`. `ImageBackground` fits an
       image to the frame, `DrawnBackground` draws one for the frame's size, `VideoBackground`
       plays one. If none of them does, write another in a separate module and add that to
       `PRELOADED` in compositor.py.
    2. Add the class to `BACKGROUNDS` in `backgrounds/__init__.py`.
    3. Run `pytest tests/compositing/test_background_kinds.py`, which names what is missing, and add
       tests of what your background looks like.
    """

    __slots__ = ()

    name: ClassVar[str]
    usage: ClassVar[str]
    examples: ClassVar[tuple[str, ...]]
    made_of_frame: ClassVar[bool]
    transparent: ClassVar[bool] = False
    shows_room: ClassVar[bool] = False
    panel_label: ClassVar[str | None] = None
    panel_pictures: ClassVar[Mapping[str, str]] = {}
    panel_setting: ClassVar[PanelSetting | None] = None

    def __init_subclass__(cls) -> None:
        """Refuse a kind that does not declare every attribute, because the help text needs them."""
        missing = [name for name in BackgroundSpec.__annotations__ if not hasattr(cls, name)]
        if missing:
            raise TypeError(f"{cls.__name__} lacks {', '.join(missing)}; see BackgroundSpec")

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self | None:
        """Read what the user wrote; None if the text asks for another kind.

        Raises:
            ConfigError: it asks for this kind, with a value that cannot be used.
        """

    @abstractmethod
    def open(self, options: OpenOptions) -> Background | None:
        """Open the background; None if there is no image behind the person.

        Raises:
            ConfigError: it cannot be read.
        """

    @abstractmethod
    def __str__(self) -> str:
        """Return the text that asks for it."""

    @classmethod
    def suggest(cls, text: str) -> str | None:  # noqa: ARG003
        """Return what a text that names no file meant, if this kind can tell without guessing."""
        return None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it reads, which are never written to."""
        return ()

    def problem(self) -> tuple[Path, str] | None:
        """Say which file or folder cannot be used and why, without reading it; None if all can."""
        return None

    def resolved_in(self, folder: Path) -> Self:  # noqa: ARG002
        """Return the same background with relative paths taken from a folder."""
        return self

    @property
    def standalone(self) -> bool:
        """Whether its image is independent of the camera."""
        return not (self.made_of_frame or self.transparent)
