"""Audio and subtitles on their way into the output file, packet for packet."""

from __future__ import annotations

import io
import logging
from contextlib import suppress
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream

from vidbg.packets import PacketRelay

log = logging.getLogger(__name__)

_SPEAKERS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
_TAGS = ("language", "title", "handler_name")


class CopiedStreams:
    """Takes packets from a relay and puts them, unread, into a container.

    Payloads and times stay as they are; the container puts them in order among the video's.
    A stream that the container cannot hold is left out, and a warning names it.

    Args:
        container: the output, before its header is written.
        relay: where the packets come from; None for no streams.
        suffix: the output's, for messages.
    """

    def __init__(self, container: OutputContainer, relay: PacketRelay | None, suffix: str) -> None:
        self._container = container
        self._relay = relay
        self._outputs: dict[int, Any] = {}
        self._last_dts: dict[int, int] = {}
        for stream in relay.streams if relay is not None else []:
            self._add(stream, suffix)

    def mux(self) -> None:
        """Puts in what has arrived."""
        while self._relay is not None and (packet := self._relay.pop()) is not None:
            index = packet.stream_index  # not packet.stream, which ends with the input's container
            output = self._outputs.get(index)
            if output is not None:
                self._put_in_time(packet, index)
                packet.stream = output
                self._container.mux(packet)

    def _add(self, stream: Stream, suffix: str) -> None:
        if not _holds(self._container.format.name, stream):
            log.warning(
                "%s is left out: %s cannot hold it; .mkv can hold nearly everything",
                _describe(stream),
                suffix,
            )
            return
        output = _add_copy(self._container, stream)
        tags = {key: value for key, value in stream.metadata.items() if key in _TAGS}
        output.metadata.update(tags)
        output.disposition = stream.disposition
        self._outputs[stream.index] = output

    def _put_in_time(self, packet: Any, index: int) -> None:
        """Gives a packet the times it lacks: no container takes one without, or out of order."""
        last = self._last_dts.get(index)
        if not packet.duration and last is not None and packet.dts is not None:
            packet.duration = max(0, packet.dts - last)
        if packet.dts is None:
            packet.dts = packet.pts if packet.pts is not None else (last or 0) + packet.duration
        if last is not None and packet.dts <= last:
            packet.dts = last + 1
        if packet.pts is None or packet.pts < packet.dts:
            packet.pts = packet.dts
        self._last_dts[index] = packet.dts


def _holds(format_name: str, stream: Stream) -> bool:
    """Tried, because FFmpeg's tables say yes to codecs that the header's writer then refuses."""
    try:
        with av.open(io.BytesIO(), "w", format=format_name) as trial:
            _add_copy(trial, stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _add_copy(container: OutputContainer, stream: Stream) -> Stream:
    output = container.add_stream_from_template(stream)
    if isinstance(output, AudioStream) and output.codec_context.layout.name.endswith(" channels"):
        # Matroska names no speakers for PCM, and MP4 demands them
        with suppress(KeyError):
            output.codec_context.layout = _SPEAKERS[output.codec_context.layout.nb_channels]
    return output


def _describe(stream: Stream) -> str:
    known = stream.codec_context is not None
    codec = stream.codec_context.codec.canonical_name if known else "unknown codec"
    language = stream.metadata.get("language", "und")
    return f"{stream.type} stream {stream.index} ({codec}, {language})"
