"""The order in which composited frames are written where they come in bursts."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from vidbg.pipeline.live.live_frames import Arrived

REMEMBERED = 30
"""Frames whose latencies are compared."""

EARLY = 0.5
"""A frame may be written this much before its time, as a share of the period."""

MAX_WAIT = 2.0
"""Longest wait of a frame for its time, in periods."""

MAX_WAITING = 3


@dataclass(frozen=True, slots=True)
class Due:
    """A composited frame and when it may be written, in monotonic seconds."""

    arrived: Arrived
    at_s: float


class FrameQueue:
    """Hands out the newest frame whose time has come.

    Where the network runs on one frame of two or three, the others are done much sooner after they
    arrive, and so all of them at nearly the same moment. They are written as far apart as they
    arrived: each waits until it is as old as the frames that took long. Where all frames take
    equally long, none waits, and the newest is written.

    Args:
        period_s: of the output, in seconds.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._waiting: deque[Due] = deque(maxlen=MAX_WAITING)
        self._latencies_s: deque[float] = deque(maxlen=REMEMBERED)

    @property
    def empty(self) -> bool:
        """Whether no frame waits to be written."""
        return not self._waiting

    def put(self, arrived: Arrived, now: float) -> None:
        """Add a frame that was composited at this monotonic time, in seconds."""
        self._latencies_s.append(now - arrived.at_s)
        ranked = sorted(self._latencies_s)
        short_s, long_s = ranked[len(ranked) // 4], ranked[3 * len(ranked) // 4]
        due_s = now
        if long_s - short_s > EARLY * self._period_s:
            latest_s = now + MAX_WAIT * self._period_s
            due_s = min(max(now, arrived.at_s + long_s), latest_s)
        self._waiting.append(Due(arrived, due_s))

    def take(self, now: float) -> Due | None:
        """Take the newest frame whose time has come, or one whose time comes soon.

        Frames before it are dropped.
        """
        if not self._waiting or self._waiting[0].at_s > now + EARLY * self._period_s:
            return None
        taken = self._waiting.popleft()
        while self._waiting and self._waiting[0].at_s <= now:
            taken = self._waiting.popleft()
        return taken

    def clear(self) -> None:
        """Drop every frame."""
        self._waiting.clear()
