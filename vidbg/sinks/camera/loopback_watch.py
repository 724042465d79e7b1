"""Detection of a v4l2loopback device's readers, by the module's events or by open files."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path

from vidbg.platform.system_files import content
from vidbg.platform.video_nodes import VideoNode, opened_by_others, opened_by_us
from vidbg.sinks.camera.loopback import loopback_devices
from vidbg.sinks.camera.loopback_node import next_usage, subscribe_to_usage

POLL_INTERVAL_S = 1.0
"""Seconds between scans of /proc; a scan takes about 10 ms with 300 processes."""


class Audience:
    """A check for readers of a device that does not wait.

    Args:
        device: "/dev/video10".
        node: that device, which must stay open while this object is used.
        poll, clock: replace /proc and the time in tests.
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
        """Return True if a program reads from the device, False if none does, None if unknown."""
        known = self._usage.watched()
        if known is not None:
            return known
        now = self._clock()
        if self._polled_at is None or now - self._polled_at >= POLL_INTERVAL_S:
            self._polled, self._polled_at = self._poll(self._device), now
        return self._polled


class ClientUsage:
    """The reader events of v4l2loopback 0.13 and newer.

    Programs that stream count as readers; programs that only have the device open do not.

    Args:
        node: an open device; never pyvirtualcam's own, which is out of reach.
    """

    def __init__(self, node: VideoNode) -> None:
        self._node = node
        self._subscribed = subscribe_to_usage(node)
        self._count: int | None = None

    def watched(self) -> bool | None:
        """Return whether a program reads; None if the module has not reported it or cannot."""
        try:
            while self._subscribed and (count := next_usage(self._node)) is not None:
                self._count = count
        except OSError:  # the device is gone
            self._count = None
        return None if self._count is None else self._count > 0


def opened_elsewhere(device: str, devices: Collection[str], root: Path = Path("/")) -> bool | None:
    """Return whether another process has the device open; None if unknown.

    The open files of other users' processes are hidden. The result is therefore False only if the
    visible files account for the module's own count of open files, which every user can read.

    Args:
        devices: all v4l2loopback devices, because that count covers all of them.
    """
    readers = opened_by_others(devices, root / "proc")
    if readers[device]:
        return True
    count = content(root / "sys/module/v4l2loopback/refcnt")
    if not count.isdecimal():
        return None
    hidden = int(count) - opened_by_us(devices, root / "proc") - readers.total()
    return False if hidden == 0 else None
