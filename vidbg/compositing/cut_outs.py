"""Frames that come with their own alpha."""

from __future__ import annotations

from vidbg.frame import Alpha

MIN_CLEAR = 0.05
"""A cut-out is clear over at least this share of the frame."""

MIN_PERSON = 0.8
"""The network takes at least this share of what is not clear for people."""


def is_cut_out(own: Alpha, network: Alpha) -> bool:
    """Tell a person who is cut out already from a room with clear corners.

    The network takes 0.99 of a cut-out for a person, but 0.3 of a window that shows somebody in a
    room and has a transparent frame or shadow.

    Args:
        own: float32 (H, W) in [0, 1], the frame's own alpha.
        network: float32 (H, W) in [0, 1], the network's.
    """
    kept = own >= 0.5
    share = float(kept.mean())
    return 0 < share <= 1 - MIN_CLEAR and float(network[kept].mean()) >= MIN_PERSON
