"""What passes between the threads of a live run."""

from __future__ import annotations

from dataclasses import dataclass

from vidbg.compositing import CompositingConfig
from vidbg.frame import Alpha, Frame


@dataclass(frozen=True, slots=True)
class Appearance:
    """How the output looks: what may change while a run goes on.

    Attributes:
        compositing: the background and how the person is laid over it.
        mirror: frames are mirrored before anything else, so that the background is not.
    """

    compositing: CompositingConfig
    mirror: bool = False

    @property
    def shows_room(self) -> bool:
        """The user asked for the camera's own picture."""
        return self.compositing.background.shows_room

    def may_follow(self, before: Appearance) -> bool:
        """Whether a frame of the look before may be shown until the first frame of this one.

        It may if the background is the same, or in both the room hidden in the same way.
        """
        old, new = before.compositing.background, self.compositing.background
        both_hide_the_room = type(old) is type(new) and old.made_of_frame
        return not before.shows_room and (old == new or both_hide_the_room)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame, and when the source gave it, in monotonic seconds."""

    frame: Frame
    at_s: float


@dataclass(frozen=True, slots=True)
class Matted:
    """A frame at the output's size, its alpha, and the look that both were made for."""

    frame: Frame
    alpha: Alpha
    look: Appearance
    at_s: float


@dataclass(frozen=True, slots=True)
class Composited:
    """A composited frame with its arrival, and the look that it was made for."""

    arrived: Arrived
    look: Appearance
