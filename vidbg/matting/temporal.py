"""Temporal smoothing of alpha: strong where the image is still, off where it moves.

A recursive mean over frames whose weight falls with the local change of the image. It removes
flicker and leaves no trails. It works at the network's size and by differences in pts.

The twin for GPUs is `vidbg.matting.full_frame.smoothing_graph`, which uses this module's constants.
Change both, then run `make graphs`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.frame import Alpha, Image
from vidbg.matting.motion import Motion
from vidbg.util.brightness import counts_up_to

MAX_GAP_S = 0.5
"""A longer gap between frames, or a step back, is a seek: the past is dropped."""

CUT_CHANGE, CUT_SHARE = 24, 0.6
"""A scene cut: this share of the pixels changes by this many grey levels."""

NOISE_LEVELS, MAX_NOISE_LEVELS, MOTION_LEVELS = 1.5, 5.0, 6.0
"""Grey levels: the change that counts as noise in a clean image, the maximum that counts as noise
in a grainy one, and how far above the noise a pixel counts as moving."""

MOTION_REACH = 5
"""Side in pixels of the square around a moving pixel that counts as moving with it."""

Levels = NDArray[np.uint8]
"""Grey levels or their changes, uint8 (h, w)."""


@dataclass(frozen=True, slots=True)
class _Past:
    alpha: Alpha
    luma: Levels
    pts: float


class TemporalFilter:
    """Filter that smooths the alphas of one stream.

    Args:
        time_constant_s: time constant of a still pixel, in seconds; 0 switches the filter off.
    """

    def __init__(self, time_constant_s: float) -> None:
        self._time_constant_s = time_constant_s
        self._past: _Past | None = None
        self._keep: NDArray[np.float32] | None = None
        self._observed: tuple[Levels, float]

    def reset(self) -> None:
        """Forget the past. Call it at a seek, a scene cut or another stream."""
        self._past = None

    def __call__(self, small: Image, alpha: Alpha, pts: float) -> Alpha:
        """Smooth the next frame's alpha: `look`, then `smooth`."""
        self.look(small, pts)
        return self.smooth(alpha)

    def resize(self, height: int, width: int) -> None:
        """Resize the past after the network's size has changed."""
        if self._past is not None:
            alpha, luma = (
                cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR)
                for plane in (self._past.alpha, self._past.luma)
            )
            pts = self._past.pts
            self._past = _Past(np.asarray(alpha, np.float32), np.asarray(luma, np.uint8), pts)

    def look(self, small: Image, pts: float) -> Alpha | None:
        """Take the next frame and compare it with the one before.

        Args:
            small: uint8 (h, w, 3), BGR, the frame at the alpha's size.
            pts: time of the frame in seconds.
        Returns:
            The previous frame's alpha, float32 (h, w) in [0, 1], read-only; None after a seek, a
            scene cut or a reset, when it does not apply.
        """
        luma = to_luma(small)
        self._observed, self._keep, past = (luma, pts), None, self._past
        change = None if past is None else change_between(past.luma, luma, pts - past.pts)
        if past is None or change is None:
            self._past = None
            return None
        if self._time_constant_s > 0:
            keep = float(np.exp(-(pts - past.pts) / self._time_constant_s))
            self._keep = stillness(change, keep)
        return past.alpha

    def propagate(self, motion: Motion) -> Alpha | None:
        """Warp the previous frame's alpha to the frame that `look` took.

        Returns:
            float32 (h, w) in [0, 1], a new array; None if the past does not apply.
        """
        if self._past is None:
            return None
        luma, pts = self._observed
        moved = motion.warp(self._past.alpha, self._past.luma, luma)
        self._past = _Past(moved, luma, pts)
        return moved.copy()

    def smooth(self, alpha: Alpha) -> Alpha:
        """Smooth the alpha of the frame that `look` took.

        Args:
            alpha: float32 (h, w) in [0, 1].
        Returns:
            float32 (h, w) in [0, 1]; a new array.
        """
        smoothed = alpha.copy()
        if self._past is not None and self._keep is not None:
            smoothed += self._keep * (self._past.alpha - alpha)
        self._past = _Past(smoothed, *self._observed)
        return smoothed.copy()


def to_luma(small: Image) -> Levels:
    """Return the slightly blurred luma, uint8 (h, w), of an image, uint8 (h, w, 3) BGR."""
    return np.asarray(cv2.blur(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), (3, 3)), np.uint8)


def change_between(before: Levels, now: Levels, gap_s: float) -> Levels | None:
    """Compute the change of each pixel in grey levels; None after a gap or at a cut.

    Args:
        gap_s: time from `before` to `now` in seconds.
    """
    if before.shape != now.shape or not 0 < gap_s <= MAX_GAP_S:
        return None
    change = np.asarray(cv2.absdiff(now, before), np.uint8)
    is_cut = int(np.count_nonzero(change > CUT_CHANGE)) > CUT_SHARE * change.size
    return None if is_cut else change


def stillness(change: Levels, maximum: float = 1.0) -> NDArray[np.float32]:
    """Rate how still each pixel is: `maximum` if still, 0 if moving.

    Args:
        change: of each pixel in grey levels, uint8 (h, w).
    """
    # numpy's median by counting, in a sixth of the time
    below = counts_up_to(change)
    middles = (change.size - 1) // 2, change.size // 2
    median = sum(float(np.searchsorted(below, middle, side="right")) for middle in middles) / 2
    noise = min(NOISE_LEVELS + 2 * median, MAX_NOISE_LEVELS)
    reach = cv2.dilate(change, np.ones((MOTION_REACH, MOTION_REACH), np.uint8))
    levels = np.arange(256, dtype=np.float32)
    still = np.clip((noise + MOTION_LEVELS - levels) * (maximum / MOTION_LEVELS), 0, maximum)
    return np.asarray(cv2.LUT(reach, still.astype(np.float32)), np.float32)
