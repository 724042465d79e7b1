"""Audio and subtitles for the output file, copied packet by packet if it can hold them."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

from vidbg.sinks.files.stream_conversion import (
    SOUND_CODECS,
    TEXT_CODECS,
    ConvertedText,
    EncodedSound,
    is_text,
)
from vidbg.util.packets import PacketRelay

log = logging.getLogger(__name__)

_SPEAKERS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
_TAGS = ("language", "title", "handler_name")
_QUICKTIME_LANGUAGES = {
    **{"bod": "tib", "cym": "wel", "cze": "ces", "deu": "ger", "ell": "gre", "eus": "baq"},
    **{"fre": "fra", "hye": "arm", "isl": "ice", "kat": "geo", "mkd": "mac", "msa": "may"},
    **{"mya": "bur", "nld": "dut", "rum": "ron", "slo": "slk", "sqi": "alb", "swe": "sve"},
    "zho": "chi",
}
"""Other codes of ISO 639-2 (and one mistake) under which FFmpeg's writer of .mov knows languages;
it leaves out those that it does not know."""


def written_tags(tags: Mapping[str, str], suffix: str) -> dict[str, str]:
    """Return a stream's tags with the language under the code that the container's writer knows."""
    language = tags.get("language", "")
    if suffix.lower() != ".mov" or language not in _QUICKTIME_LANGUAGES:
        return dict(tags)
    return {**tags, "language": _QUICKTIME_LANGUAGES[language]}


class CopiedStreams:
    """Streams whose packets are copied from a relay to a container without decoding.

    Payloads and times do not change; the container interleaves the packets with the video's. Audio
    that the container cannot hold is encoded again and text subtitles are converted, with a log
    message. A warning names the streams that are left out.

    Args:
        container: the output, before its header is written.
        relay: the source of the packets; None for no streams.
        suffix: the output's.
    """

    def __init__(self, container: OutputContainer, relay: PacketRelay | None, suffix: str) -> None:
        self._container = container
        self._relay = relay
        self._routes: dict[int, _Route] = {}
        self._last_dts: dict[int, int] = {}
        for stream in relay.streams if relay is not None else []:
            route = self._route(stream, suffix.lower())
            if route is None:
                log.warning("%s is left out: %s cannot hold it", _describe(stream), suffix.lower())
                continue
            tags = {key: value for key, value in stream.metadata.items() if key in _TAGS}
            route.output.metadata.update(written_tags(tags, suffix))
            route.output.disposition = stream.disposition
            self._routes[stream.index] = route

    def mux(self) -> None:
        """Write the packets that have arrived."""
        while self._relay is not None and (packet := self._relay.pop()) is not None:
            # not packet.stream, which is invalid once the input is closed
            index = packet.stream_index
            route = self._routes.get(index)
            if route is not None:
                self._put_in_time(packet, index)
                self._mux(route, route.packets(packet))

    def finish(self) -> None:
        """Write the packets that have arrived and those that encoders still hold."""
        self.mux()
        for route in self._routes.values():
            self._mux(route, route.rest())

    def _mux(self, route: _Route, packets: list[Any]) -> None:
        for packet in packets:
            packet.stream = route.output
            self._container.mux(packet)

    def _route(self, stream: Stream, suffix: str) -> _Route | None:
        """Add a stream to the container: as it is, else converted; None if neither is possible."""
        name = self._container.format.name
        if stream.type == "video" and name != "mp4":  # others store covers differently
            return None
        codec = "" if stream.codec_context is None else stream.codec_context.codec.canonical_name
        # In MP4, many players play PCM of more or fewer than 16 bits as loud noise
        misread = name == "mp4" and codec.startswith("pcm_") and "16" not in codec
        if not misread and _holds(name, lambda container: _Copy(container, stream)):
            return _Copy(self._container, stream)
        if stream.codec_context is None:
            return None
        convert: Callable[[OutputContainer], _Route]
        if isinstance(stream, AudioStream):
            codec = SOUND_CODECS[suffix]
            convert = partial(EncodedSound, stream=stream, codec=codec)
            text = "%s becomes %s, which %s files hold"
            if suffix != ".mkv":
                text += "; .mkv keeps more kinds as they are"
        elif isinstance(stream, SubtitleStream) and is_text(stream):
            codec = TEXT_CODECS[suffix]
            convert = partial(ConvertedText, stream=stream, codec=codec)
            text = "%s becomes %s, which %s files hold"
        else:
            return None
        if not _holds(name, convert):
            return None
        log.warning(text, _describe(stream), codec, suffix)
        return convert(self._container)

    def _put_in_time(self, packet: Any, index: int) -> None:
        """Set a packet's missing times: containers refuse packets without times or out of order."""
        last = self._last_dts.get(index)
        if not packet.duration:
            if last is not None and packet.dts is not None and packet.dts > last:
                packet.duration = packet.dts - last
            elif isinstance(packet.stream, AudioStream) and packet.stream.codec_context is not None:
                # The usual length of the codec's frames, in ticks; 0 if unknown
                codec = packet.stream.codec_context
                usual_s = codec.frame_size / codec.sample_rate if codec.sample_rate else 0.0
                packet.duration = int(usual_s / packet.time_base)
        if packet.dts is None:
            packet.dts = packet.pts if packet.pts is not None else (last or 0) + packet.duration
        if last is not None:
            # Two times must differ in the output's ticks, too, which may be longer.
            ticks = (self._routes[index].output.time_base or 0) / packet.time_base
            packet.dts = max(packet.dts, last + max(1, math.ceil(ticks)))
        if packet.pts is None or packet.pts < packet.dts:
            packet.pts = packet.dts
        self._last_dts[index] = packet.dts


class _Route(Protocol):
    """The processing of a stream's packets on the way to `output`."""

    @property
    def output(self) -> Any: ...

    def packets(self, packet: Any) -> list[Any]: ...

    def rest(self) -> list[Any]: ...


class _Copy:
    """A stream whose packets are copied unchanged."""

    def __init__(self, container: OutputContainer, stream: Stream) -> None:
        output = container.add_stream_from_template(stream)
        if isinstance(output, AudioStream) and output.codec_context.layout.name.endswith(
            " channels"
        ):
            # Matroska has no channel layout for PCM, but MP4 requires one
            with suppress(KeyError):
                output.codec_context.layout = _SPEAKERS[output.codec_context.layout.nb_channels]
        self.output = output

    def packets(self, packet: Any) -> list[Any]:
        return [packet]

    def rest(self) -> list[Any]:
        return []


def _holds(format_name: str, add: Callable[[OutputContainer], _Route]) -> bool:
    """Test whether a container takes a stream.

    A header is written because FFmpeg's tables list codecs that the header's writer then refuses.
    """
    try:
        with av.open(io.BytesIO(), "w", format=format_name) as trial:
            add(trial)
            trial.start_encoding()
    except (av.FFmpegError, ValueError, NotImplementedError):
        return False
    return True


def _describe(stream: Stream) -> str:
    known = stream.codec_context is not None
    codec = stream.codec_context.codec.canonical_name if known else "unknown codec"
    language = stream.metadata.get("language", "und")
    return f"{stream.type} stream {stream.index} ({codec}, {language})"
