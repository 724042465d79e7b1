"""Whether a program reads from a v4l2loopback device: by the module's events, or by open files."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path

from vidbg.platform.video_nodes import VideoNode, content, opened_by_others, opened_by_us
from vidbg.sinks.camera.loopback import loopback_devices
from vidbg.sinks.camera.loopback_node import next_usage, subscribe_to_usage

POLL_INTERVAL_S = 1.0
"""Between two looks at /proc, which take some 10 ms among 300 processes."""


class Audience:
    """Tells whether anybody reads from a device, without waiting.

    Args:
        device: "/dev/video10".
        node: that device, open for as long as this is asked.
        poll, clock: in place of /proc and the time, for tests.
    """

    def __init__(
        self,
        device: str,
        node: VideoNode,
        *,
        poll: Callable[[str], bool | None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device = device
        self._usage = ClientUsage(node)
        self._poll = poll or (lambda device: opened_elsewhere(device, loopback_devices()))
        self._clock = clock
        self._polled: bool | None = None
        self._polled_at: float | None = None

    def watched(self) -> bool | None:
        """True if somebody reads, False if nobody does, None if it cannot be told."""
        told = self._usage.watched()
        if told is not None:
            return told
        now = self._clock()
        if self._polled_at is None or now - self._polled_at >= POLL_INTERVAL_S:
            self._polled, self._polled_at = self._poll(self._device), now
        return self._polled


class ClientUsage:
    """Follows the events by which v4l2loopback (0.13 and newer) tells of its readers.

    Who streams counts, by whatever interface; who merely has the device open does not.

    Args:
        node: an open device; never pyvirtualcam's own, which is out of reach.
    """

    def __init__(self, node: VideoNode) -> None:
        self._node = node
        self._subscribed = subscribe_to_usage(node)
        self._count: int | None = None

    def watched(self) -> bool | None:
        """Whether somebody reads; None where the module does not tell, or has not yet."""
        try:
            while self._subscribed and (count := next_usage(self._node)) is not None:
                self._count = count
        except OSError:  # the device is gone
            self._count = None
        return None if self._count is None else self._count > 0


def opened_elsewhere(device: str, devices: Collection[str], root: Path = Path("/")) -> bool | None:
    """Whether another process has the device open; None if it cannot be told.

    The processes of other users hide what they have open. "Nobody" is therefore only said where
    the module's own count of open files, which all may read, is made up of files that we see.

    Args:
        devices: all of v4l2loopback's, for that count is of them together.
    """
    seen = opened_by_others(devices, root / "proc")
    if seen[device]:
        return True
    count = content(root / "sys/module/v4l2loopback/refcnt")
    if not count.isdecimal():
        return None
    unseen = int(count) - opened_by_us(devices, root / "proc") - seen.total()
    return False if unseen == 0 else None
