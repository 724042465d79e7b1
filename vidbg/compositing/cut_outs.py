"""Frames that come with their own alpha."""

from __future__ import annotations

from vidbg.frame import Alpha

MIN_CLEAR = 0.05
"""Minimum share of the frame that is clear in a cut-out."""

MIN_PERSON = 0.8
"""Minimum share of the visible pixels that the network classifies as people."""


def is_cut_out(own: Alpha, network: Alpha) -> bool:
    """Return whether a frame is a person already cut out, not a room with clear corners.

    The network classifies 0.99 of a cut-out as a person, but only 0.3 of a window that shows
    somebody in a room and has a transparent frame or shadow.

    Args:
        own: float32 (H, W) in [0, 1], the frame's own alpha.
        network: float32 (H, W) in [0, 1], the network's.
    """
    kept = own >= 0.5
    share = float(kept.mean())
    return 0 < share <= 1 - MIN_CLEAR and float(network[kept].mean()) >= MIN_PERSON
