"""Conversion of audio and subtitles that a container cannot hold as they are."""

from __future__ import annotations

import logging
from fractions import Fraction
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.subtitles.stream import SubtitleStream

log = logging.getLogger(__name__)

SOUND_CODECS = {
    ".mp4": "aac",
    ".m4v": "aac",
    ".mov": "aac",
    ".mkv": "flac",
    ".webm": "libopus",
}
"""The audio encoder for each suffix, which nearly every player of such files supports."""

TEXT_CODECS = {
    ".mp4": "mov_text",
    ".m4v": "mov_text",
    ".mov": "mov_text",
    ".mkv": "subrip",
    ".webm": "webvtt",
}
"""The encoder of text subtitles for each suffix."""

_TEXTS = ("ass", "mov_text", "srt", "ssa", "subrip", "text", "webvtt")
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1"}
_BITS_PER_CHANNEL = 96_000
_GAP_S = 0.1


def is_text(stream: SubtitleStream) -> bool:
    """Return whether subtitles are text, not images."""
    return stream.codec_context.codec.canonical_name in _TEXTS


class EncodedSound:
    """An audio stream that is decoded and encoded again.

    More than six channels are mixed down to 5.1.

    Args:
        container: the output, before its header is written.
        stream: the input's.
        codec: FFmpeg's name of an encoder.

    Attributes:
        output: the stream in the container.
    Raises:
        ValueError, av.FFmpegError: the container does not hold what this encoder makes.
    """

    def __init__(self, container: OutputContainer, stream: AudioStream, codec: str) -> None:
        self._decoder = stream.codec_context
        channels = self._decoder.layout.nb_channels
        # The encoder's lowest sample rate that loses nothing
        wanted = self._decoder.sample_rate or 48_000  # unknown until the first packet
        rates = sorted(av.Codec(codec, "w").audio_rates or [wanted])
        rate = next((rate for rate in rates if rate >= wanted), rates[-1])
        self.output: AudioStream = container.add_stream(codec, rate=rate)  # type: ignore[assignment]
        self.output.codec_context.layout = _LAYOUTS.get(channels or 2, "5.1")
        self.output.codec_context.bit_rate = _BITS_PER_CHANNEL * min(channels, 6)
        self._due: int | None = None

    def packets(self, packet: Any) -> list[Any]:
        """Encode a packet's audio; return the packets that the encoder has completed.

        Args:
            packet: None for what the decoder still holds at the end.
        """
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError as error:
            log.info("a packet of sound cannot be decoded: %s", error.strerror)
            return []
        return [encoded for frame in frames for encoded in self._encoded(frame)]

    def rest(self) -> list[Any]:
        """Return what the decoder and the encoder still hold at the end."""
        return self.packets(None) + self.output.encode(None)

    def _encoded(self, frame: AudioFrame) -> list[Any]:
        """Encode a frame at the time at which the previous one ends, unless there is a real gap.

        Only the first of several frames in a packet has a time, and containers round times.
        """
        rate = frame.sample_rate
        stored = frame.pts is not None and frame.time_base is not None
        own = round((frame.pts or 0) * (frame.time_base or 0) * rate) if stored else None
        if self._due is None or (own is not None and own > self._due + rate * _GAP_S):
            self._due = own or 0
        frame.pts, frame.time_base = self._due, Fraction(1, rate)
        self._due += frame.samples
        return self.output.encode(frame)


class ConvertedText:
    """A text subtitle stream that is converted to another format; times do not change.

    Args:
        container: the output, before its header is written.
        stream: the input's.
        codec: FFmpeg's name of an encoder.

    Attributes:
        output: the stream in the container.
    Raises:
        ValueError, av.FFmpegError: the container does not hold what this encoder makes.
    """

    def __init__(self, container: OutputContainer, stream: SubtitleStream, codec: str) -> None:
        self._decoder = stream.codec_context
        self._decoder.open(strict=False)  # creates the header that the encoder needs
        self.output: SubtitleStream = container.add_stream(codec)  # type: ignore[assignment]
        self.output.codec_context.subtitle_header = self._decoder.subtitle_header
        self.output.codec_context.time_base = stream.time_base or Fraction(1, 1000)

    def packets(self, packet: Any) -> list[Any]:
        """Return the packet's text in the new format; empty if the packet has none."""
        try:
            text = self._decoder.decode2(packet)
            if text is None or not len(text):
                return []
            converted = self.output.codec_context.encode_subtitle(text)
        except av.FFmpegError as error:
            log.info("a subtitle cannot be converted: %s", error.strerror)
            return []
        converted.pts, converted.dts = packet.pts, packet.dts
        converted.duration, converted.time_base = packet.duration, packet.time_base
        return [converted]

    def rest(self) -> list[Any]:
        return []
