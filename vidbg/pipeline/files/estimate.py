"""Estimate of what another quality would cost, from the times of the frames so far."""

from __future__ import annotations

from dataclasses import replace

from vidbg.matting.ladder import file_step
from vidbg.matting.video_matting import VideoMatting

MATTING = ("resize", "normalise", "network", "people", "smooth", "upsample")
WRITING = ("composite", "write")
"""Stages of the two threads that a frame passes, of which the slower one sets the pace."""

WORTH_TELLING = 0.8
"""Maximum share of the time that is worth a change of quality."""


def fast_share(matter: VideoMatting) -> float | None:
    """Estimate the time that the quality "fast" would take, as a share of the current time.

    Returns:
        0 to 0.8; None if it would save less, or if the network is chosen by size.
    """
    sized = matter.config.network_pixels is not None
    fast = None if sized else file_step(replace(matter.config, quality="fast"))
    if fast is None or fast.cost >= matter.step.cost:
        return None
    seconds = matter.clock.seconds()
    network_share = fast.cost / matter.step.cost
    matting, writing = (
        sum(sum(seconds.get(stage, ())) for stage in stages) for stages in (MATTING, WRITING)
    )
    saved = sum(seconds.get("network", ())) * (1 - network_share)
    now = max(matting, writing)
    share = max(matting - saved, writing) / now if now > 0 else 1.0
    return share if share <= WORTH_TELLING else None
