"""Cache for static scenes: skips the network while its input does not change.

An image is always compared with the one that the network last ran on, never with the previous one:
slow changes add up until the network runs again. A camera's noise makes single pixels differ, but
hardly the means of small squares, which whatever moves or appears changes.
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

SQUARE_PX = 5
"""Side of the squares whose mean change tells noise from motion, in pixels of the network's input.
"""

MAX_NOISE = 1.8
"""Maximum noise of a static scene: the mean change of a value against its square's mean, in levels.
A camera whose pixels have a standard deviation of 6 levels at 720p has 1.6."""

NOISY_PIXEL = 9.0
"""How much more a value may change for each level of noise."""

NOISY_SQUARE = (1.2, 2.4)
"""How much a square's mean may change without noise, and how much more for each level of it. On six
clips of people, noise of 2 to 8 levels (standard deviation at 720p) alone changed it by at most 0.6
of this, noise of 3 levels in JPEG of quality 90 by 0.9, and movement between two frames by at least
1.9."""

NOISY_S = 4.0
"""How long an alpha is reused in a noisy scene before the network runs again: it may have run on a
bad image. Smoothing from one alpha to the next then takes half a second of work."""

ALPHA_CHANGE = 1 / 512
"""Change of alpha that is invisible in an image: half an 8-bit step."""


@dataclass(slots=True)
class _Observed:
    small: Image
    answer: Alpha
    pts: float
    noisy: bool
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

    def learn(self, small: Image, answer: Alpha, pts: float, *, noisy: bool = True) -> None:
        """Remember the network's alpha for an image.

        Args:
            small: uint8 (h, w, 3), the image; copied because it may be a camera's own buffer.
            answer: float32 (h, w).
            pts: time of the image, in seconds.
            noisy: whether noise counts as no change: not in the dark, where the network is shown
                what is too faint to be told from it.
        """
        self._observed = _Observed(small.copy(), answer, pts, noisy)

    def answer(self, small: Image, pts: float) -> Alpha | None:
        """Return the network's last alpha if the image has not changed, else None.

        Args:
            small: uint8 (h, w, 3), of the same size as in `learn`.
            pts: time of the image, in seconds.
        """
        observed = self._observed
        if observed is None:
            return None
        change = cv2.norm(observed.small, small, cv2.NORM_INF)
        if change > STILL_LEVELS:
            allowed = observed.noisy and 0 <= pts - observed.pts <= NOISY_S
            if not allowed or change > STILL_LEVELS + NOISY_PIXEL * MAX_NOISE:
                return None
            if not _only_noise(observed.small, small, change):
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


def _only_noise(before: Image, now: Image, change: float) -> bool:
    """Return whether two images of one size differ by a camera's noise alone.

    Args:
        change: the largest difference of two values, in levels.
    """
    difference = cv2.subtract(now, before, dtype=cv2.CV_16S)
    area = SQUARE_PX * SQUARE_PX
    sums = cv2.boxFilter(difference, cv2.CV_16S, (SQUARE_PX, SQUARE_PX), normalize=False)
    # Noise is what is left of a value's change without that of its surroundings
    grain = cv2.addWeighted(difference, 1, sums, -1 / area, 0)
    noise = cv2.norm(grain, cv2.NORM_L1) / grain.size
    most = NOISY_SQUARE[0] + NOISY_SQUARE[1] * noise
    return (
        noise <= MAX_NOISE
        and change <= STILL_LEVELS + NOISY_PIXEL * noise
        and cv2.norm(sums, cv2.NORM_INF) <= area * most
    )
