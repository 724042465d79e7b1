"""Times of a video's packets and frames."""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.video.frame import VideoFrame

log = logging.getLogger(__name__)

_GAP_S = 10.0
"""Where clocks may break, a longer step ahead is a clock that was reset (ffmpeg's threshold)."""

SETTLING_S = 1.0
"""For this long after a join, pictures may lack those they refer to."""

Tell = Callable[..., None]
"""Takes a message and its arguments, as a logger's methods do."""


class Clock:
    """Continuous packet times from 0 for all streams, even if the clock starts late or jumps.

    A jump begins a new part of the file, which continues where the streams had ended, as in
    FFmpeg's program. All streams of a part are moved by the same time, so that sound stays with its
    picture: the last sound of a part may come after the first picture of the next.

    Args:
        name: the file's name in messages.
        origin_s: the clock's time at the file's start.
        breaks: the format's clock may break (MPEG-TS, program streams, Ogg): a step back of a
            tenth of a second and a gap of ten seconds are jumps. Elsewhere only a step back by
            more than a second is one.
        tell: called with messages for the user.
    """

    def __init__(
        self, name: str, origin_s: Fraction, *, breaks: bool, tell: Tell = log.warning
    ) -> None:
        self._name = name
        self._tell = tell
        self._breaks = breaks
        self._shifts_s = [-origin_s]
        self._parts: dict[int, int] = {}  # by stream: its current index in `_shifts_s`
        self._last_s: dict[int, float] = {}  # by stream: the file's time of its last packet
        self._ends_s: dict[int, float] = {}  # by stream: where that packet ends, moved
        self._delay_s = 0.0  # the longest from a decoding time to its presentation time
        self.joined_s = float("-inf")
        """Where the last part begins."""

    def set(self, packet: Packet[Any]) -> None:
        """Move a packet's times."""
        own = packet.dts if packet.dts is not None else packet.pts
        if own is None:
            return
        index = packet.stream_index
        part = self._parts.setdefault(index, len(self._shifts_s) - 1)
        if packet.stream.type in ("video", "audio"):
            part = self._part_of(packet, own * float(packet.time_base), part)
        elif part < len(self._shifts_s) - 1:
            part = self._parts[index] = len(self._shifts_s) - 1
        if packet.pts is not None:
            shown_part = self._shown_part(packet, part)
            packet.pts += round(self._shifts_s[shown_part] / packet.time_base)
        if packet.dts is not None:
            packet.dts += round(self._shifts_s[part] / packet.time_base)

    def _shown_part(self, packet: Packet[Any], part: int) -> int:
        """Return the part of a frame's presentation time, which may be the next.

        Where frames are stored in another order than they are shown, the first ones after a gap
        have decoding times of before it.
        """
        if not self._breaks or packet.pts is None or packet.dts is None:
            return part
        delay_s = float((packet.pts - packet.dts) * packet.time_base)
        if delay_s <= _GAP_S:
            self._delay_s = max(self._delay_s, delay_s)
            return part
        if part == len(self._shifts_s) - 1:
            self._begin_part(float(packet.pts * packet.time_base) - self._delay_s)
        return part + 1

    def _part_of(self, packet: Packet[Any], own_s: float, part: int) -> int:
        """Return the part that a packet of a stream in `part` belongs to; note where it ends."""
        index = packet.stream_index
        while self._jumps(index, own_s, part):
            if part == len(self._shifts_s) - 1:
                self._begin_part(own_s)
                part += 1
                break
            part += 1
        self._parts[index] = part
        duration_s = (packet.duration or 0) * float(packet.time_base)
        step_s = own_s - self._last_s.get(index, own_s)
        if not duration_s and 0 < step_s < 1:
            duration_s = step_s
        self._last_s[index] = own_s
        self._ends_s[index] = own_s + float(self._shifts_s[part]) + duration_s
        return part

    def _begin_part(self, own_s: float) -> None:
        """Begin a part at a time of the file, right behind everything before it."""
        here_s = own_s + float(self._shifts_s[-1])
        self.joined_s = max(self._ends_s.values())
        self._shifts_s.append(Fraction(self.joined_s - own_s).limit_denominator(1_000_000))
        self._tell(
            "%s: its clock jumps by %+.1f s at %.2f s, as in files that were joined or have gaps; "
            "what follows is put right behind",
            *(self._name, here_s - self.joined_s, self.joined_s),
        )

    def _jumps(self, index: int, own_s: float, part: int) -> bool:
        """Return whether a packet's time is implausible for this part."""
        here_s = own_s + float(self._shifts_s[part])
        minimum_s = 0.1 if self._breaks else 1.0
        end_s = self._ends_s.get(index)
        back = end_s is not None and own_s < self._last_s[index] - minimum_s
        if back and part > self._parts[index]:  # does it fit into the next part?
            back = end_s is not None and here_s < end_s - minimum_s - SETTLING_S
        if back or not self._breaks or not self._ends_s:
            return back
        reach_s = max(self._ends_s.values())
        return here_s > reach_s + _GAP_S or (end_s is None and here_s < reach_s - _GAP_S)


class Timeline:
    """Increasing frame times: the stream's own, repaired where they are missing or equal.

    Args:
        name: the stream's name in messages.
        time_base: the unit of its times in seconds; None for 90 kHz.
        frame_rate: nominal frames per second; None for 25.
        tell: called with messages for the user.
    """

    def __init__(
        self,
        name: str,
        time_base: Fraction | None,
        frame_rate: Fraction | None,
        tell: Tell = log.warning,
    ) -> None:
        self._tell = tell
        self._name = name
        self._time_base = time_base or Fraction(1, 90_000)
        self._period = max(1, round(1 / (frame_rate or 25) / self._time_base))
        self._last: int | None = None
        self._warned = False

    def pts(self, frame: VideoFrame) -> float:
        """Return a frame's time in seconds, later than that of the frame before."""
        stored = frame.dts if frame.pts is None else frame.pts
        if stored is not None:
            tick = stored
        else:
            tick = 0 if self._last is None else self._last + self._period
        if self._last is not None and tick <= self._last:
            if not self._warned:
                self._warned = True
                self._tell(
                    "%s: some frames have no time of their own; they are set apart", self._name
                )
            tick = self._last + (1 if (self._last - tick) * self._time_base < 1 else self._period)
        self._last = tick
        return tick * self._time_base.numerator / self._time_base.denominator
