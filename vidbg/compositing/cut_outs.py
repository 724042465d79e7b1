"""Frames that come with an alpha of their own."""

from __future__ import annotations

from vidbg.frame import Alpha

LEAST_CLEAR = 0.05
"""A cut-out is clear over this share of the frame at least."""

LEAST_PERSON = 0.8
"""And of what is not clear, the network takes this share for people at least."""


def is_cut_out(own: Alpha, seen: Alpha) -> bool:
    """Whether a frame is a person cut out already, rather than a room with clear corners.

    The network sees 0.99 of a cut-out person, and 0.3 of a window with somebody in a room, whose
    frame or shadow is transparent.

    Args:
        own: float32 (H, W) in [0, 1], the frame's own alpha.
        seen: float32 (H, W) in [0, 1], the network's.
    """
    kept = own >= 0.5
    share = float(kept.mean())
    return 0 < share <= 1 - LEAST_CLEAR and float(seen[kept].mean()) >= LEAST_PERSON
