"""Relay of packets copied unchanged from the input file to the output file."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any


class PacketRelay:
    """Queue of the copied streams' packets (audio, subtitles) from the source to the sink.

    The source fills it while demuxing and the sink empties it while muxing, each in one thread. It
    holds only compressed packets: as many as the source is ahead of the sink.

    Attributes:
        streams: the input's streams that are copied (PyAV's Stream objects).
        tags: of the file, such as title and creation_time.
        video_tags: of the video stream, such as language.
        chapters: PyAV's chapters, in the packets' time.
        attachments: Matroska's attached files, such as the fonts of subtitles (PyAV's streams).
    """

    def __init__(
        self,
        streams: list[Any],
        *,
        tags: Mapping[str, str] | None = None,
        video_tags: Mapping[str, str] | None = None,
        chapters: Sequence[Any] = (),
        attachments: Sequence[Any] = (),
    ) -> None:
        self.streams = streams
        self.tags = dict(tags or {})
        self.video_tags = dict(video_tags or {})
        self.chapters = list(chapters)
        self.attachments = list(attachments)
        self._packets: deque[Any] = deque()

    def push(self, packet: Any) -> None:
        self._packets.append(packet)

    def pop(self) -> Any | None:
        """Remove and return the oldest packet; None if there is none."""
        try:
            return self._packets.popleft()
        except IndexError:
            return None
