"""Data passed between the threads of a live run."""

from __future__ import annotations

from dataclasses import dataclass, field

from vidbg.compositing import CompositingConfig
from vidbg.frame import Alpha, Frame
from vidbg.picture.picture_config import PictureConfig


@dataclass(frozen=True, slots=True)
class Appearance:
    """How the output looks; may change during a run.

    Attributes:
        compositing: the background and how the person is composited over it.
        mirror: mirror frames before anything else, which leaves the background unmirrored.
        picture: how the camera's own picture is adjusted.
    """

    compositing: CompositingConfig
    mirror: bool = False
    picture: PictureConfig = field(default_factory=PictureConfig)

    @property
    def shows_room(self) -> bool:
        """Whether the user asked for the unmodified camera image."""
        return self.compositing.background.shows_room

    def may_follow(self, before: Appearance) -> bool:
        """Return whether frames of the previous look may be shown until the first of this one.

        They may if the background is the same, or both looks hide the room in the same way.
        """
        old, new = before.compositing.background, self.compositing.background
        both_hide_the_room = type(old) is type(new) and old.made_of_frame
        return not before.shows_room and (old == new or both_hide_the_room)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame and its arrival time from the source, in monotonic seconds."""

    frame: Frame
    at_s: float


@dataclass(frozen=True, slots=True)
class Matted:
    """A frame at the output's size with its alpha, and the look used for both."""

    frame: Frame
    alpha: Alpha
    look: Appearance
    at_s: float


@dataclass(frozen=True, slots=True)
class Composited:
    """A composited frame with its arrival time, and the look used for it."""

    arrived: Arrived
    look: Appearance
