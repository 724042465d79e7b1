"""Record of the parts of a video that could not be read."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.video.frame import VideoFrame

from vidbg.errors import SourceIncomplete

log = logging.getLogger(__name__)

_MAX_MISSING_S = 5.0
"""A long file may end this long before its header says; a short one by 2 % or half a second."""


@dataclass
class Health:
    """Record of the parts that could not be read, and of how far the file reached.

    Attributes:
        name: the file's, for messages.
        damage: times in seconds of the packets that could not be read, and why.
        guessed: frames in which the decoder had to guess parts.
        first_guessed_s: the time of the first of them.
        end_s: the latest time that a packet reaches.
        last_byte: where the last packet ends in the file.
    """

    name: str
    damage: list[tuple[float, str]] = field(default_factory=list)
    guessed: int = 0
    first_guessed_s: float = 0.0
    end_s: Fraction = Fraction(0)
    last_byte: int = 0

    def note(self, packet: Packet[Any] | None, error: Exception) -> None:
        """Count what could not be read: a packet, or None for what came after the last one."""
        reason = getattr(error, "strerror", None) or str(error)
        place_s = float(self.end_s)
        if packet is not None and packet.pts is not None:
            place_s = float(packet.pts * packet.time_base)
        self.damage.append((place_s, reason))
        log.info("%s: at %.2f s: %s", self.name, place_s, reason)

    def note_guessed(self, frame: VideoFrame) -> None:
        """Count a frame that the decoder had to complete by guessing."""
        if not self.guessed:
            self.first_guessed_s = float(frame.time or 0)
        self.guessed += 1

    @property
    def first(self) -> str:
        """Where and why the first packet could not be read; empty if all could."""
        return f"at {self.damage[0][0]:.2f} s: {self.damage[0][1]}" if self.damage else ""

    def forget_before(self, start_s: float) -> None:
        """Forget the damage in front of the first frame, as of a stream that is joined midway."""
        self.damage = [(place_s, reason) for place_s, reason in self.damage if place_s >= start_s]

    def reach(self, packet: Packet[Any]) -> None:
        """Note how far a packet reaches, in time and in bytes."""
        self.last_byte = max(self.last_byte, (packet.pos or 0) + packet.size)
        if packet.pts is not None:
            end = (packet.pts + (packet.duration or 0)) * Fraction(packet.time_base)
            self.end_s = max(self.end_s, end)

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
        if midway and not self.damage:
            raise SourceIncomplete(
                f"{self.name} breaks off at {float(self.end_s):.1f} s, in the middle of a frame; "
                "all frames up to there were read: is the recording or the download complete?"
            )
        if self.damage:
            raise SourceIncomplete(
                f"{self.name} is damaged: packets that could not be read: {len(self.damage)}, the "
                f"first {self.first}; all other frames were read: get the file again if you can"
            )
        if self.guessed:
            raise SourceIncomplete(
                f"{self.name} is damaged: frames that could only be read in part: {self.guessed}, "
                f"the first at {self.first_guessed_s:.2f} s; their missing parts are guessed: "
                "get the file again if you can"
            )
