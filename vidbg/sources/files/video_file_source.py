"""Video files and streams, read by FFmpeg's libraries: any container, any codec, animations."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from vidbg.errors import SourceError, SourceIncomplete
from vidbg.frame import Colour, FieldOrder, Frame, StreamInfo
from vidbg.sources.files.container import open_container, source_name, video_stream
from vidbg.sources.files.decoders import decoder_of, upright_frame
from vidbg.sources.files.deinterlacing import Deinterlacer
from vidbg.sources.files.lengths import (
    clock_breaks,
    ends_midway,
    origin_s,
    stored_end_s,
    stream_end_s,
)
from vidbg.sources.files.orientation import UprightReader, has_alpha, orientation_of
from vidbg.sources.files.tags import kept_tags, moved_chapters
from vidbg.sources.files.timeline import SETTLING_S, Clock, Health, Tell, Timeline
from vidbg.util.choices import Interlaced
from vidbg.util.colour_mapping import HDR_NAMES, mapped_colour
from vidbg.util.lifecycle import Closeable
from vidbg.util.packets import PacketRelay
from vidbg.util.paths import is_file

log = logging.getLogger(__name__)

_RGB_MATRIX = 0
_UNSPECIFIED = 2
_SHORTEST_S = 0.001  # of the last frame, whose time the container's end extends
_COVER = Disposition.attached_pic
_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails
_AHEAD = 25  # frames in which interlaced ones are looked for
_MOST_INTERLACED_LINES = 1088
_FIELD_ORDERS: dict[int, FieldOrder] = {2: "top", 5: "top", 3: "bottom", 4: "bottom"}


class VideoFileSource(Closeable):
    """Source of every frame of a video, upright, in BGR, with its own time.

    The first frame is decoded when the source is opened. Time is counted from where the file
    starts, whatever its clock says there; where the clock jumps (files joined end to end, gaps in
    a transport stream) it runs on. Every pts is a whole multiple of `info.time_base`. The last
    frame's duration is the file's own. Iterating again continues where the last iteration stopped.
    The images are new arrays.

    A frame of another size than the first is fitted into it, between bars. HDR (PQ, HLG) and wide
    gamuts are mapped to SDR in BT.709, and `info.colour` is what they are then. Damaged places and
    a file that breaks off do not end the reading: every frame that can be decoded is yielded, and
    SourceIncomplete is raised after the last frame.

    Args:
        file: a path, a URL that FFmpeg knows, "-" for standard input, or a binary stream.
        copy_streams: pass the packets of the audio and subtitle streams, the tags and the chapters
            to `relay`.
        interlaced: make whole pictures of interlaced ones, or keep them as they are.
        again: it was already read in this run, so its warnings are not repeated.

    Attributes:
        relay: where those packets go; None if they are not wanted.
    Raises:
        SourceError: there is no such file, it is not a video, or nothing in it can be decoded.
    """

    def __init__(
        self,
        file: str | Path | BinaryIO,
        *,
        copy_streams: bool = True,
        interlaced: Interlaced = "deinterlace",
        again: bool = False,
    ) -> None:
        self._name = source_name(file)
        self._path = Path(file) if isinstance(file, str | Path) and is_file(file) else None
        self._tell: Tell = log.info if again else log.warning
        self._lock = threading.Lock()  # FFmpeg's contexts are used by one thread at a time
        self._closed = threading.Event()
        self._container = open_container(file, self._name)
        try:
            self._stream = video_stream(self._container, self._name)
            self._stream.thread_type = "AUTO"
            self._breaks = clock_breaks(self._container)
            self._origin_s = origin_s(self._container)
            self._clock = Clock(self._name, self._origin_s, breaks=self._breaks, tell=self._tell)
            self._decoder = decoder_of(self._stream, self._name)
            self.relay = self._relay_of_copies() if copy_streams else None
            self._health = Health(self._name)
            self._intact_frame_read = False  # a whole frame has come
            self._reported_fields = False
            self._by_dts = self._container.format.name == "avi"  # it stores no other times
            self._deinterlacer = Deinterlacer() if interlaced == "deinterlace" else None
            self._decoded = self._decode()
            first = self._first_frame()
            # Broadcasts mix interlaced frames with others, and the encoder has to be told before
            # the first one. They are taller than this in no standard.
            kept = self._deinterlacer is None and first.height <= _MOST_INTERLACED_LINES
            ahead = deque(islice(self._decoded, _AHEAD)) if kept else deque()
            fields = next((frame for frame in (first, *ahead) if frame.interlaced_frame), None)
            colour = _colour(first, self._stream)
            _report_mapping(self._tell, self._name, colour)
            orientation = orientation_of(upright_frame(self._decoder) or first)
            self._pixels = UprightReader(first, colour, self._tell, orientation)
            self._info = self._describe(first, mapped_colour(colour), fields)
            self._timeline = Timeline(
                self._name, self._info.time_base, self._info.frame_rate, self._tell
            )
            self._frames = self._give(first, ahead)
        except BaseException:
            self._container.close()
            raise

    @property
    def info(self) -> StreamInfo:
        """`frame_count` and `duration_s` are the container's; an edit list can cut them short."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self._next_frame()) is not None:
            yield frame

    def close(self) -> None:
        """Stop reading without waiting for a read that hangs in a pipe, which cleans up later."""
        self._closed.set()
        if self._lock.acquire(timeout=1.0):
            try:
                self._close_container()
            finally:
                self._lock.release()

    def _next_frame(self) -> Frame | None:
        with self._lock:
            frame = None if self._closed.is_set() else next(self._frames, None)
            if self._closed.is_set():
                self._close_container()
                return None
            return frame

    def _close_container(self) -> None:
        self._frames.close()
        self._decoded.close()
        self._container.close()

    def _relay_of_copies(self) -> PacketRelay:
        relay = PacketRelay(
            [
                s
                for s in self._container.streams
                if s.type in ("audio", "subtitle") or s.disposition & _COVERS == _COVER
            ],
            tags=kept_tags(self._container.metadata),
            video_tags=kept_tags(self._stream.metadata),
            chapters=moved_chapters(self._container.chapters(), self._origin_s),
            attachments=[s for s in self._container.streams if s.type == "attachment"],
        )
        # the pictures of an animated AVIF or HEIF are not streams that anybody misses
        sequence = self._container.metadata.get("major_brand") in ("avis", "msf1", "hevc")
        lost = [
            s
            for s in ([] if sequence else self._container.streams)
            if s not in (self._stream, *relay.streams, *relay.attachments)
            and not (relay.chapters and s.type == "data")
        ]
        if lost:
            names = ", ".join(f"{s.type} stream {s.index}" for s in lost)
            log.warning(
                "%s: audio, subtitles and cover pictures are copied, %s not", self._name, names
            )
        return relay

    def _first_frame(self) -> VideoFrame:
        first = next(self._decoded, None)
        if first is None:
            codec = self._stream.codec_context.name
            advice = (
                "is it complete? An MP4 that comes through a pipe needs its index in front: else "
                "give the file's name"
            )
            if codec == "hevc":  # FFmpeg 8.1 decodes x265's layer for alpha, and not VideoToolbox's
                advice += ". HEVC with alpha from Apple's programs is not read: export ProRes 4444"
            raise SourceError(
                f"{self._name}: no frame of its {codec} video can be decoded "
                f"({self._health.first or 'the stream is empty'}); {advice}"
            )
        self._health.forget()  # a stream that is joined midway starts with undecodable frames
        return first

    def _give(self, first: VideoFrame, ahead: deque[VideoFrame]) -> Generator[Frame]:
        """Yield each frame once the next one is known, because the last one may last longer."""
        held = self._frame(first, 0)
        waiting = (ahead.popleft() for _ in range(len(ahead)))  # each is freed once it is used
        for index, decoded in enumerate(chain(waiting, self._decoded), 1):
            frame = self._frame(decoded, index)
            yield held
            held = frame
        try:
            name, last_byte = self._container.format.name, self._health.last_byte
            midway = self._path is not None and ends_midway(self._path, name, last_byte)
            stored = stored_end_s(self._container, self._origin_s)
            self._health.check_end(stored, midway=midway)
        except SourceIncomplete:
            yield held
            raise
        # The last frame lasts until the container's end. Its packet's own duration may belong to
        # another frame: MP4 stores them in decoding order.
        end_s = stream_end_s(self._container, self._stream, self._origin_s)
        if end_s is not None and end_s - held.pts >= _SHORTEST_S:
            held = replace(held, duration_s=end_s - held.pts)
        yield held

    def _frame(self, decoded: VideoFrame, index: int) -> Frame:
        try:
            image, alpha = self._pixels.read(decoded)
        except av.FFmpegError as error:
            raise SourceError(
                f"{self._name}: {decoded.format.name} pixels of {decoded.width}x{decoded.height} "
                f"cannot be converted: {error.strerror}; convert the video to H.264 first"
            ) from error
        duration_s = float(decoded.duration * (decoded.time_base or 0)) or None
        aspect = self._info.sample_aspect_ratio
        return Frame(image, self._timeline.pts(decoded), index, alpha, duration_s, aspect)

    def _decode(self) -> Generator[VideoFrame]:
        for packet in self._packets():
            if packet is None or packet.stream.index == self._stream.index:
                for frame in self._decode_packet(packet):
                    yield from self._whole(frame)
            elif self.relay is not None and self._is_copied(packet):
                self.relay.push(packet)
        if self._deinterlacer is not None:
            yield from self._deinterlacer.rest()

    def _is_copied(self, packet: Packet[Any]) -> bool:
        wanted = self.relay is not None and packet.stream in self.relay.streams
        if not wanted or not packet.size:
            return False
        return packet.stream.type != "subtitle" or _begins_at_0(packet)

    def _packets(self) -> Iterator[Any]:
        """Yield all packets, then PyAV's empty packets that flush decoders; None on an error."""
        try:
            for packet in self._container.demux():
                self._clock.set(packet)
                self._health.reach(packet)
                yield packet
        except (av.FFmpegError, OSError, ValueError) as error:  # or what a Python stream raises
            self._health.note(None, error)
            yield None

    def _decode_packet(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        if packet is not None and packet.is_corrupt and not self._breaks:
            self._health.note(packet, ValueError("the packet is cut off"))
            return []
        try:
            return self._decoder.decode(packet)
        except av.FFmpegError as error:
            if packet is None or not self._settles(packet.pts, packet.time_base):
                self._health.note(packet, error)
            return []

    def _whole(self, frame: VideoFrame) -> list[VideoFrame]:
        """Return the deinterlaced frame with its time; none or several if a filter looks ahead."""
        if self._by_dts and frame.dts is not None:
            frame.pts = frame.dts
        if not frame.is_corrupt:
            self._intact_frame_read = True
        elif not self._settles(frame.pts, frame.time_base):
            self._health.note_guessed(frame)
        if self._deinterlacer is None:
            return [frame]
        if frame.interlaced_frame and not self._reported_fields:
            self._reported_fields = True
            self._tell("%s is interlaced: whole pictures are made of its fields", self._name)
        return self._deinterlacer.through(frame)

    def _settles(self, pts: int | None, time_base: Fraction | None) -> bool:
        """Return whether a broadcast was just joined, where frames lack their references."""
        if not self._breaks or pts is None or time_base is None:
            return False
        return (
            not self._intact_frame_read or 0 <= pts * time_base - self._clock.joined_s < SETTLING_S
        )

    def _describe(self, first: VideoFrame, colour: Colour, fields: VideoFrame | None) -> StreamInfo:
        """Describe the video; `fields` is an interlaced frame at its start that is kept."""
        stream, container = self._stream, self._container
        duration_s = None
        if stream.duration and stream.time_base:
            duration_s = float(stream.duration * stream.time_base)
        elif container.duration:
            duration_s = container.duration / av.time_base
        aspect = stream.sample_aspect_ratio or Fraction(1)
        order: FieldOrder = "progressive"
        if fields is not None:
            order = _FIELD_ORDERS.get(stream.codec_context.field_order, "top")
        return StreamInfo(
            width=self._pixels.width,
            height=self._pixels.height,
            frame_rate=stream.average_rate or stream.guessed_rate or None,
            time_base=stream.time_base,
            # FFmpeg's formats for photos that come through a pipe, "png_pipe" for example
            frame_count=stream.frames or (1 if container.format.name.endswith("_pipe") else None),
            duration_s=duration_s,
            colour=colour,
            sample_aspect_ratio=1 / aspect if self._pixels.orientation.transposed else aspect,
            field_order=order,
            has_alpha=has_alpha(first.format),
        )


def _begins_at_0(packet: Packet[Any]) -> bool:
    """Return whether a subtitle ends after audio and video start; cut it there if needed.

    A subtitle that begins earlier would delay everything that starts at 0.
    """
    if packet.pts is None or packet.pts >= 0:
        return True
    packet.duration = max(0, (packet.duration or 0) + packet.pts)
    packet.pts = packet.dts = 0
    return packet.duration > 0


def _colour(first: VideoFrame, stream: VideoStream) -> Colour:
    """Return the colour of the first frame, or else the container's."""
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


def _report_mapping(tell: Tell, name: str, colour: Colour) -> None:
    if colour.transfer in HDR_NAMES:
        tell(
            "%s is HDR (%s): it is mapped to SDR (BT.709), and what is brighter than SDR white is "
            "clipped",
            name,
            HDR_NAMES[colour.transfer],
        )
    elif mapped_colour(colour) != colour:
        log.info("%s has a wide gamut: it is mapped to BT.709", name)
