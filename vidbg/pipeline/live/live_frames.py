"""What a camera's frame becomes on its way through a live run: arrived, matted, composited."""

from __future__ import annotations

from dataclasses import dataclass

from vidbg.frame import Alpha, Frame
from vidbg.pipeline.live.appearance import Appearance


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame and its arrival time from the camera.

    Attributes:
        at_s: monotonic time, in seconds.
        session: counts how often a camera was opened; frames of two sessions may show two rooms.
    """

    frame: Frame
    at_s: float
    session: int = 0


@dataclass(frozen=True, slots=True)
class Matted:
    """A frame at the output's size with its alpha, and the look used for both.

    Attributes:
        at_s, session: of Arrived.
    """

    frame: Frame
    alpha: Alpha
    look: Appearance
    at_s: float
    session: int = 0


@dataclass(frozen=True, slots=True)
class Composited:
    """A composited frame with its arrival time, and the look used for it."""

    arrived: Arrived
    look: Appearance
