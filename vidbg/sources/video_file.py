"""Video files and streams, read by FFmpeg's libraries: any container, any codec, animations."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from vidbg.closing import Closing
from vidbg.errors import SourceError
from vidbg.frame import Alpha, Colour, Frame, Image, StreamInfo
from vidbg.packets import PacketRelay
from vidbg.sources.colour_mapping import HDR_NAMES, mapped_colour
from vidbg.sources.decoders import decoder_of
from vidbg.sources.opening import open_container, source_name, video_stream
from vidbg.sources.timeline import Health, Timeline
from vidbg.sources.upright import UprightReader, has_alpha

log = logging.getLogger(__name__)

_FREE_CLOCK = ("mpegts", "mpeg")  # starts anywhere, so time is counted from the file's start
_LENGTH_STORED = ("mov,mp4", "matroska", "asf", "flv")  # others leave it to be estimated
_RGB_MATRIX = 0
_UNSPECIFIED = 2


class VideoFileSource(Closing):
    """Gives every frame of a video, upright, in BGR, with its own time.

    The first frame is decoded when the source is opened. Every pts is a whole multiple of
    `info.time_base`: `round(pts / time_base)` is the file's own number (in MPEG transport and
    program streams counted from where the file starts). Iterating again goes on where the last
    iteration stopped. The images are new arrays.

    A stream whose size changes midway is scaled to its first size. HDR (PQ, HLG) and wide gamuts
    are mapped to SDR in BT.709, and `info.colour` is what they are then. Nothing is deinterlaced.
    Damaged places and a file that breaks off do not end the reading: what can be decoded
    is given, and SourceIncomplete is raised after the last frame.

    Args:
        file: a path, an URL that FFmpeg knows, "-" for standard input, or a binary stream.
        copy_streams: hand the packets of the audio and subtitle streams to `relay`.

    Attributes:
        relay: where those packets go; None if there are no such streams or none are wanted.
    Raises:
        SourceError: there is no such file, it is not a video, or nothing in it can be decoded;
            while reading: its time jumps back by more than a second.
    """

    def __init__(self, file: str | Path | BinaryIO, *, copy_streams: bool = True) -> None:
        self._name = source_name(file)
        self._lock = threading.Lock()  # FFmpeg's contexts are used by one thread at a time
        self._closed = threading.Event()
        self._container = open_container(file, self._name)
        try:
            self._stream = video_stream(self._container, self._name)
            self._stream.thread_type = "AUTO"
            self._decoder = decoder_of(self._stream)
            self.relay = self._relay_of_copies() if copy_streams else None
            self._free_clock = self._container.format.name in _FREE_CLOCK
            self._origin_s = self._start_s() if self._free_clock else Fraction(0)
            self._health = Health(self._name)
            self._decoded = self._decode()
            first = self._first_frame()
            colour = _colour(first, self._stream)
            _tell_of_mapping(self._name, colour.transfer, colour.primaries)
            self._pixels = self._reader(first, colour)
            colour = mapped_colour(colour)
            described = _describe(self._container, self._stream, self._pixels, colour)
            self._info = replace(described, has_alpha=has_alpha(first.format))
            self._timeline = Timeline(
                self._name, self._info, self._origin_s, by_dts=self._container.format.name == "avi"
            )
            self._frames = self._give(first)
        except BaseException:
            self._container.close()
            raise

    @property
    def info(self) -> StreamInfo:
        """`frame_count` and `duration_s` are the container's word, which an edit list can cut."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._next()) is not None:
            yield frame

    def close(self) -> None:
        """Ends reading; does not wait for a read that hangs in a pipe, which cleans up later."""
        self._closed.set()
        if self._lock.acquire(timeout=1.0):
            try:
                self._release()
            finally:
                self._lock.release()

    def _next(self) -> Frame | None:
        with self._lock:
            frame = None if self._closed.is_set() else next(self._frames, None)
            if self._closed.is_set():
                self._release()
                return None
            return frame

    def _release(self) -> None:
        self._frames.close()
        self._decoded.close()
        self._container.close()

    def _relay_of_copies(self) -> PacketRelay | None:
        copied = [s for s in self._container.streams if s.type in ("audio", "subtitle")]
        lost = [s for s in self._container.streams if s not in (self._stream, *copied)]
        if lost:
            names = ", ".join(f"{s.type} stream {s.index}" for s in lost)
            log.warning("%s: audio and subtitles are copied, %s not", self._name, names)
        return PacketRelay(list(copied)) if copied else None

    def _first_frame(self) -> VideoFrame:
        first = next(self._decoded, None)
        if first is None:
            raise SourceError(
                f"{self._name}: no frame of its {self._stream.codec_context.name} video can be "
                f"decoded ({self._health.first or 'the stream is empty'}); is it complete? An MP4 "
                "that comes through a pipe needs its index in front: else give the file's name"
            )
        self._health.forget()  # a stream that is joined midway starts with what it cannot decode
        return first

    def _give(self, first: VideoFrame) -> Generator[Frame]:
        for index, frame in enumerate(itertools.chain([first], self._decoded)):
            image, alpha = self._upright(frame)
            aspect = self._info.sample_aspect_ratio
            yield Frame(image, self._timeline.pts(frame), index, alpha, aspect)
        self._health.check_end(_stored_end_s(self._container))

    def _reader(self, first: VideoFrame, colour: Colour) -> UprightReader:
        try:
            return UprightReader(first, colour)
        except av.FFmpegError as error:
            raise SourceError(
                f"{self._name}: its colours cannot be brought to SDR by this FFmpeg "
                f"({error.strerror}); convert the video to SDR first"
            ) from error

    def _upright(self, frame: VideoFrame) -> tuple[Image, Alpha | None]:
        try:
            return self._pixels.read(frame)
        except av.FFmpegError as error:
            raise SourceError(
                f"{self._name}: {frame.format.name} pixels of {frame.width}x{frame.height} cannot "
                f"be converted: {error.strerror}; convert the video to H.264 first"
            ) from error

    def _decode(self) -> Generator[VideoFrame]:
        for packet in self._packets():
            if packet is None or packet.stream.index == self._stream.index:
                yield from self._decode_packet(packet)
            elif self.relay is not None and packet.stream in self.relay.streams and packet.size:
                self._shift(packet)
                self.relay.push(packet)

    def _packets(self) -> Iterator[Any]:
        """All packets, then empty ones, with which PyAV flushes decoders; None in their place."""
        try:
            for packet in self._container.demux():
                self._health.reach(packet)
                yield packet
        except (av.FFmpegError, OSError, ValueError) as error:  # or what a Python stream raises
            self._health.note(None, error)
            yield None

    def _decode_packet(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        if packet is not None and packet.is_corrupt and not self._free_clock:
            self._health.note(packet, ValueError("the packet is cut off"))
            return []
        try:
            return self._decoder.decode(packet)
        except av.FFmpegError as error:
            self._health.note(packet, error)
            return []

    def _start_s(self) -> Fraction:
        return Fraction(self._container.start_time or 0, av.time_base)

    def _shift(self, packet: Packet[Any]) -> None:
        ticks = round(self._origin_s / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - ticks
        packet.dts = None if packet.dts is None else packet.dts - ticks


def _stored_end_s(container: InputContainer) -> Fraction | None:
    if not container.duration or not container.format.name.startswith(_LENGTH_STORED):
        return None
    return Fraction(container.duration + (container.start_time or 0), av.time_base)


def _colour(first: VideoFrame, stream: VideoStream) -> Colour:
    """The colour of the first frame, or else what the container says."""
    said = stream.codec_context

    def known(own: int, other: int) -> int:
        return int(own if own != _UNSPECIFIED else other)

    matrix = known(first.colorspace, said.colorspace)
    full = first.format.name.startswith("yuvj") or first.color_range == ColorRange.JPEG
    yuv = not first.format.is_rgb and not first.format.has_palette
    return Colour(
        matrix=_UNSPECIFIED if matrix == _RGB_MATRIX else matrix,
        primaries=known(first.color_primaries, said.color_primaries),
        transfer=known(first.color_trc, said.color_trc),
        full_range=full and yuv,
    )


@cache
def _tell_of_mapping(name: str, transfer: int, primaries: int) -> None:
    """Once for each file: a background is opened anew in each of its rounds."""
    colour = Colour(transfer=transfer, primaries=primaries)
    if transfer in HDR_NAMES:
        log.warning(
            "%s is HDR (%s): it is mapped to SDR (BT.709), and what is brighter than SDR white is "
            "clipped",
            name,
            HDR_NAMES[transfer],
        )
    elif mapped_colour(colour) != colour:
        log.info("%s has a wide gamut: it is mapped to BT.709", name)


def _describe(
    container: InputContainer, stream: VideoStream, pixels: UprightReader, colour: Colour
) -> StreamInfo:
    duration_s = None
    if stream.duration and stream.time_base:
        duration_s = float(stream.duration * stream.time_base)
    elif container.duration:
        duration_s = container.duration / av.time_base
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return StreamInfo(
        width=pixels.width,
        height=pixels.height,
        frame_rate=stream.average_rate or stream.guessed_rate or None,
        time_base=stream.time_base,
        frame_count=stream.frames or None,
        duration_s=duration_s,
        colour=colour,
        sample_aspect_ratio=1 / aspect if pixels.orientation.transposed else aspect,
    )
