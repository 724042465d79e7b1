"""How the output of a live run looks."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from vidbg.compositing import CompositingConfig
from vidbg.picture.picture_config import PictureConfig

logger = logging.getLogger(__name__)


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

        They may unless they show the room: the person stays while one background replaces another.
        """
        return not before.shows_room

    def with_room_hidden(self, other: Appearance) -> Appearance:
        """Return this with the other's background in place of the real room; itself if hidden."""
        if not self.shows_room:
            return self
        background = other.compositing.background
        return replace(self, compositing=replace(self.compositing, background=background))

    def fits_alpha_of(self, other: Appearance) -> bool:
        """Return whether a frame that was matted for another look can be composited for this one.

        It has no usable alpha where the room is shown.
        """
        return not self.shows_room and not other.shows_room


def warn_of_room(look: Appearance, origin: str) -> None:
    """Log a warning if the real room is shown.

    Args:
        origin: which setting asks for it.
    """
    if look.shows_room:
        logger.warning(
            "YOUR REAL ROOM IS ON AIR: the background is none (%s), so everyone who watches the "
            "output sees the camera's own picture. Hide the room by another background, such as "
            "-b blur",
            origin,
        )
