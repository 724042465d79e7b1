"""Times of a video's frames, and a record of the parts that could not be read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.video.frame import VideoFrame

from vidbg.errors import SourceIncomplete

log = logging.getLogger(__name__)

_MAX_MISSING_S = 5.0
"""So much may a long file end before its header says; a short one by 2 % or half a second."""

_GAP_S = 10.0
"""A longer step ahead is a clock that was reset, where clocks may break (ffmpeg's threshold)."""

SETTLING_S = 1.0
"""So long after a join pictures may lack those they refer to."""


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
        ticks = round(self._shifts_s[part] / packet.time_base)
        if packet.pts is not None:
            shown = round(self._shifts_s[self._shown_part(packet, part)] / packet.time_base)
            packet.pts += shown
        packet.dts = None if packet.dts is None else packet.dts + ticks

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
            own_s = float(packet.pts * packet.time_base) - self._delay_s
            self._begin_part(own_s)
        return part + 1

    def _part_of(self, packet: Packet[Any], own_s: float, part: int) -> int:
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
        """Put what follows, from a time of the file on, right behind what came."""
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
        tick = self._tick(frame)
        if self._last is not None and tick <= self._last:
            if not self._warned:
                self._warned = True
                self._tell(
                    "%s: some frames have no time of their own; they are set apart", self._name
                )
            tick = self._last + (1 if (self._last - tick) * self._time_base < 1 else self._period)
        self._last = tick
        return tick * self._time_base.numerator / self._time_base.denominator

    def _tick(self, frame: VideoFrame) -> int:
        stored = frame.dts if frame.pts is None else frame.pts
        if stored is not None:
            return stored
        return 0 if self._last is None else self._last + self._period


@dataclass
class Health:
    """Record of the parts that could not be read, and of how far the file reached."""

    name: str
    first: str = ""
    count: int = 0
    guessed: int = 0
    first_guessed_s: float = 0.0
    end_s: Fraction = Fraction(0)
    last_byte: int = 0

    def note(self, packet: Packet[Any] | None, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error)
        place_s = self.end_s if packet is None or packet.pts is None else _seconds(packet)
        self.first = self.first or f"at {float(place_s):.2f} s: {reason}"
        self.count += 1
        log.info("%s: at %.2f s: %s", self.name, float(place_s), reason)

    def note_guessed(self, frame: VideoFrame) -> None:
        """Count a frame that the decoder had to complete by guessing."""
        if not self.guessed:
            self.first_guessed_s = float(frame.time or 0)
        self.guessed += 1

    def forget(self) -> None:
        self.first, self.count = "", 0

    def reach(self, packet: Packet[Any]) -> None:
        self.last_byte = max(self.last_byte, (packet.pos or 0) + packet.size)
        if packet.pts is not None:
            self.end_s = max(self.end_s, _seconds(packet, end=True))

    def check_end(self, stored_end_s: Fraction | None, *, midway: bool = False) -> None:
        """Raise SourceIncomplete if anything could not be read.

        Args:
            midway: the file ends in the middle of something.
        """
        end_s = self.end_s if stored_end_s is None else stored_end_s
        spare_s = min(max(0.5, float(end_s) / 50), _MAX_MISSING_S)
        if end_s - self.end_s > spare_s:
            raise SourceIncomplete(
                f"{self.name} breaks off at {float(self.end_s):.1f} s of {float(end_s):.1f} s; "
                "all frames up to there were read: is the recording or the download complete?"
            )
        if midway and not self.count:
            raise SourceIncomplete(
                f"{self.name} breaks off at {float(self.end_s):.1f} s, in the middle of a frame; "
                "all frames up to there were read: is the recording or the download complete?"
            )
        if self.count:
            raise SourceIncomplete(
                f"{self.name} is damaged: packets that could not be read: {self.count}, the first "
                f"{self.first}; all other frames were read: get the file again if you can"
            )
        if self.guessed:
            raise SourceIncomplete(
                f"{self.name} is damaged: frames that could be read in part only: {self.guessed}, "
                f"the first at {self.first_guessed_s:.2f} s; what was missing in them is guessed: "
                "get the file again if you can"
            )


def _seconds(packet: Packet[Any], *, end: bool = False) -> Fraction:
    ticks = (packet.pts or 0) + ((packet.duration or 0) if end else 0)
    return ticks * Fraction(packet.time_base)
