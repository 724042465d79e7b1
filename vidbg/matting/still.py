"""Cache for static scenes: skips the network while its input does not change.

An image is always compared with the one that the network last ran on, never with the previous one:
slow changes add up until the network runs again.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from vidbg.frame import Alpha, Image

STILL_LEVELS = 2
"""Maximum difference, in levels, between values of the network's input in a static scene.

In six clips of people, the largest difference between two frames was never less than 4. Changes
that go unnoticed are fainter than that or smaller than the network's pixels: 22 levels of one pixel
in a 720p frame, 50 at 1080p.
"""

ALPHA_CHANGE = 1 / 512
"""Change of alpha that is invisible in an image: half an 8-bit step."""


@dataclass(slots=True)
class _Observed:
    small: Image
    answer: Alpha
    enlarged: tuple[Alpha, Alpha] | None = None


class StillPicture:
    """Cache of the network's last alpha, and of that alpha at the frame's size.

    Alphas are stored and returned without copying: neither side may write to them.
    """

    def __init__(self) -> None:
        self._observed: _Observed | None = None

    def forget(self) -> None:
        """Clear the cache. Call it at a reset or a change of size."""
        self._observed = None

    def learn(self, small: Image, answer: Alpha) -> None:
        """Remember the network's alpha for an image.

        Args:
            small: uint8 (h, w, 3), the image; copied because it may be a camera's own buffer.
            answer: float32 (h, w).
        """
        self._observed = _Observed(small.copy(), answer)

    def answer(self, small: Image) -> Alpha | None:
        """Return the network's last alpha if the image has not changed, else None.

        Args:
            small: uint8 (h, w, 3), of the same size as in `learn`.
        """
        observed = self._observed
        if observed is None or cv2.norm(observed.small, small, cv2.NORM_INF) > STILL_LEVELS:
            return None
        return observed.answer

    def keep(self, alpha: Alpha, full: Alpha) -> None:
        """Remember the last alpha before and after upsampling, from float32 (h, w) to (H, W)."""
        if self._observed is not None:
            self._observed.enlarged = alpha, full

    def enlarged(self, alpha: Alpha) -> Alpha | None:
        """Return the upsampled alpha if it was made from this coarse one, else None."""
        if self._observed is None or self._observed.enlarged is None:
            return None
        coarse, full = self._observed.enlarged
        return full if cv2.norm(coarse, alpha, cv2.NORM_INF) <= ALPHA_CHANGE else None
