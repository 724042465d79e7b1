"""What is copied from a video to the output: audio, subtitles, covers, tags, chapters."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from vidbg.util.packets import PacketRelay

log = logging.getLogger(__name__)

_COVER = Disposition.attached_pic
_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails
_SEQUENCES = ("avis", "msf1", "hevc")
"""Brands of animated AVIF and HEIF, whose single pictures are streams that nobody misses."""

_OF_THE_FILE_ITSELF = (
    *("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id"),
    *("timecode", "handler_name", "alpha_mode", "stereo_mode", "bps", "number_of_frames"),
    *("number_of_bytes", "rotate", "variant_bitrate", "wm/", "isvbr", "devicetype"),
    *("metadatacreator", "_statistics"),
)
"""Beginnings of the names of tags that describe how the file is stored, not what it shows."""


def relay_of(
    container: InputContainer, video: VideoStream, origin: Fraction, name: str
) -> PacketRelay:
    """Return an empty relay for all that is copied, and warn of streams that are not.

    Args:
        video: the stream that is read.
        origin: the clock's time at the file's start, from which chapters are counted.
        name: of the input, for messages.
    """
    relay = PacketRelay(
        [
            stream
            for stream in container.streams
            if stream.type in ("audio", "subtitle") or stream.disposition & _COVERS == _COVER
        ],
        tags=kept_tags(container.metadata),
        video_tags=kept_tags(video.metadata),
        chapters=moved_chapters(container.chapters(), origin),
        attachments=[stream for stream in container.streams if stream.type == "attachment"],
    )
    if container.metadata.get("major_brand") not in _SEQUENCES:
        copied = (video, *relay.streams, *relay.attachments)
        lost = ", ".join(
            f"{stream.type} stream {stream.index}"
            for stream in container.streams
            # A data stream in a file with chapters holds their titles
            if stream not in copied and not (relay.chapters and stream.type == "data")
        )
        if lost:
            log.warning("%s: audio, subtitles and cover pictures are copied, %s not", name, lost)
    return relay


def relay_packet(packet: Packet[Any], relay: PacketRelay) -> None:
    """Add a packet to the relay if its stream is copied.

    A subtitle that begins before audio and video would delay everything that starts at 0, so it is
    cut there; one that is over by then is left out.
    """
    if packet.stream not in relay.streams or not packet.size:
        return
    if packet.stream.type == "subtitle" and packet.pts is not None and packet.pts < 0:
        packet.duration = (packet.duration or 0) + packet.pts
        if packet.duration <= 0:
            return
        packet.pts = packet.dts = 0
    relay.push(packet)


def kept_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that also apply to the output."""
    return {
        key: value for key, value in tags.items() if not key.lower().startswith(_OF_THE_FILE_ITSELF)
    }


def moved_chapters(chapters: Sequence[Any], origin: Fraction) -> list[Any]:
    """Return PyAV's chapters, counted from `origin`, without those that end before it."""
    moved = []
    for chapter in chapters:
        ticks = round(origin / (chapter["time_base"] or 1))
        start, end = max(0, chapter["start"] - ticks), chapter["end"] - ticks
        if end > 0:
            moved.append({**chapter, "start": start, "end": max(start, end)})
    return moved
