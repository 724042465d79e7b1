"""The time of a video's frames, and what of the video could not be read."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.video.frame import VideoFrame

from vidbg.errors import SourceError, SourceIncomplete
from vidbg.frame import StreamInfo

log = logging.getLogger(__name__)

_MOST_MISSING_S = 5.0
"""So much may a long file end before its header says; a short one by 2 % or half a second."""


class Timeline:
    """Gives frames times that grow: the stream's own, repaired where they are missing or equal.

    Args:
        name: how messages call the stream.
        info: of the stream.
        origin_s: what of the stream's clock is 0.
        by_dts: the container stores decoding times only (AVI); its frames come in their order.
    """

    def __init__(self, name: str, info: StreamInfo, origin_s: Fraction, *, by_dts: bool) -> None:
        self._name = name
        self._by_dts = by_dts
        self._time_base = info.time_base or Fraction(1, 90_000)
        self._origin = round(origin_s / self._time_base)
        period_s = 1 / info.frame_rate if info.frame_rate else Fraction(1, 25)
        self._period = max(1, round(period_s / self._time_base))
        self._last: int | None = None
        self._warned = False

    def pts(self, frame: VideoFrame) -> float:
        tick = self._tick(frame)
        if self._last is not None and tick <= self._last:
            tick = self._repaired(tick, self._last)
        self._last = tick
        return tick * self._time_base.numerator / self._time_base.denominator

    def _tick(self, frame: VideoFrame) -> int:
        stored = frame.dts if self._by_dts or frame.pts is None else frame.pts
        if stored is not None:
            return stored - self._origin
        return 0 if self._last is None else self._last + self._period

    def _repaired(self, tick: int, last: int) -> int:
        if (last - tick) * self._time_base > 1:
            raise SourceError(
                f"{self._name}: its time jumps back from {float(last * self._time_base):.3f} s to "
                f"{float(tick * self._time_base):.3f} s, as in files joined end to end; process "
                "the parts one by one, or rewrite it first: ffmpeg -i INPUT -c copy OUTPUT.mkv"
            )
        if not self._warned:
            self._warned = True
            log.warning("%s: some frames have the time of the one before; set apart", self._name)
        return last + 1


@dataclass
class Health:
    """Keeps count of what could not be read, and of how far the file reached."""

    name: str
    first: str = ""
    count: int = 0
    end_s: Fraction = Fraction(0)

    def note(self, packet: Packet[Any] | None, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error)
        place_s = self.end_s if packet is None or packet.pts is None else _seconds(packet)
        self.first = self.first or f"at {float(place_s):.2f} s: {reason}"
        self.count += 1
        log.info("%s: at %.2f s: %s", self.name, float(place_s), reason)

    def forget(self) -> None:
        self.first, self.count = "", 0

    def reach(self, packet: Packet[Any]) -> None:
        if packet.pts is not None:
            self.end_s = max(self.end_s, _seconds(packet, end=True))

    def check_end(self, stored_end_s: Fraction | None) -> None:
        """Raises SourceIncomplete if anything was amiss."""
        end_s = self.end_s if stored_end_s is None else stored_end_s
        spare_s = min(max(0.5, float(end_s) / 50), _MOST_MISSING_S)
        if end_s - self.end_s > spare_s:
            raise SourceIncomplete(
                f"{self.name} breaks off at {float(self.end_s):.1f} s of {float(end_s):.1f} s; "
                "all frames up to there were read: is the recording or the download complete?"
            )
        if self.count:
            raise SourceIncomplete(
                f"{self.name} is damaged: packets that could not be read: {self.count}, the first "
                f"{self.first}; all other frames were read: get the file anew if you can"
            )


def _seconds(packet: Packet[Any], *, end: bool = False) -> Fraction:
    ticks = (packet.pts or 0) + ((packet.duration or 0) if end else 0)
    return ticks * Fraction(packet.time_base)
