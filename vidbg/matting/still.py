"""What is used again while the picture stands still, so that such a picture costs next to nothing.

The picture is always compared with the one that the network saw, never with the one before: a slow
change adds up until the network is asked again.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from vidbg.frame import Alpha, Image

STILL_LEVELS = 2
"""Grey levels by which values of the network's view may differ for the picture to stand still.

Of six clips of people, between two frames the largest difference was never less than 4. What goes
unseen is fainter than that or smaller than the network's pixels: in a 720p frame 22 levels of one
pixel, at 1080p 50.
"""

ALPHA_CHANGE = 1 / 512
"""A change of alpha that no picture shows: half a step of 8 bits."""


@dataclass(slots=True)
class _Seen:
    small: Image
    answer: Alpha
    enlarged: tuple[Alpha, Alpha] | None = None


class StillPicture:
    """Remembers the network's last answer, and its alpha at the frame's size.

    Alphas are kept and given back as they are: neither side may write to them.
    """

    def __init__(self) -> None:
        self._seen: _Seen | None = None

    def forget(self) -> None:
        """At a reset, or another size."""
        self._seen = None

    def learn(self, small: Image, answer: Alpha) -> None:
        """Remember what the network answered.

        Args:
            small: uint8 (h, w, 3), what it saw; copied, for it may be a camera's own buffer.
            answer: float32 (h, w).
        """
        self._seen = _Seen(small.copy(), answer)

    def answer(self, small: Image) -> Alpha | None:
        """The network's answer where this is still the picture that it saw, else None.

        Args:
            small: uint8 (h, w, 3), of the size learned.
        """
        seen = self._seen
        if seen is None or cv2.norm(seen.small, small, cv2.NORM_INF) > STILL_LEVELS:
            return None
        return seen.answer

    def keep(self, alpha: Alpha, full: Alpha) -> None:
        """Remember how the last answer was enlarged, from float32 (h, w) to (H, W)."""
        if self._seen is not None:
            self._seen.enlarged = alpha, full

    def enlarged(self, alpha: Alpha) -> Alpha | None:
        """The enlarged alpha where the coarse one is still what it was made of, else None."""
        if self._seen is None or self._seen.enlarged is None:
            return None
        coarse, full = self._seen.enlarged
        return full if cv2.norm(coarse, alpha, cv2.NORM_INF) <= ALPHA_CHANGE else None
