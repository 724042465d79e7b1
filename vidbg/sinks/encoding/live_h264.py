"""H.264 settings for live frames, encoded in this process or by ffmpeg."""

from __future__ import annotations

from fractions import Fraction

KEYFRAME_S = 2.0
"""Seconds between keyframes, and the longest wait of a viewer who joins."""

_BITS_PER_PIXEL = 0.1  # at most: 2.8 Mbit/s at 720p30, 6.2 at 1080p30, as services advise


def x264_options(width: int, height: int, rate: Fraction) -> dict[str, str]:
    """Return libx264's options for low latency and a bounded bit rate.

    Args:
        width, height: of the pictures, in pixels.
        rate: pictures per second.
    """
    bits = str(int(_BITS_PER_PIXEL * width * height * rate))
    return {
        "preset": "veryfast",
        "tune": "zerolatency",  # no B-frames, no look-ahead: each picture gives a packet at once
        "crf": "23",
        "maxrate": bits,
        "bufsize": bits,
    }


def keyframe_interval(rate: Fraction) -> int:
    """Return KEYFRAME_S as a number of frames."""
    return max(1, round(KEYFRAME_S * rate))
