"""Decoding of a video file: from its packets to whole frames with continuous times."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidbg.errors import SourceError
from vidbg.sources.files.container import video_stream
from vidbg.sources.files.copies import relay_of, relay_packet
from vidbg.sources.files.decoders import decoder_of, upright_frame
from vidbg.sources.files.deinterlacing import Deinterlacer
from vidbg.sources.files.health import Health
from vidbg.sources.files.lengths import clock_breaks, origin_s
from vidbg.sources.files.orientation import Orientation, orientation_of
from vidbg.sources.files.timeline import SETTLING_S, Clock, Tell


class FrameDecoder:
    """Decoder of every frame of a container's video that can be decoded.

    What cannot be decoded is noted in `health` and skipped. The audio and subtitle packets that
    come between the video's go to the relay.

    Args:
        container: the open file; it is closed with the decoder.
        name: of the file, for messages.
        copy_streams: fill a relay with the packets of the other streams.
        deinterlace: make whole pictures of interlaced ones.
        tell: called with messages for the user.

    Attributes:
        stream: the video stream that is decoded.
        relay: where the copied packets go; None if they are not wanted.
        health: what could not be decoded.
        origin_s: the clock's time at the file's start.
        frames: the decoded frames, in the order in which they are shown.
    Raises:
        SourceError: the container has no video, or FFmpeg has no decoder for it.
    """

    def __init__(
        self,
        container: InputContainer,
        name: str,
        *,
        copy_streams: bool,
        deinterlace: bool,
        tell: Tell,
    ) -> None:
        self._name = name
        self._container = container
        self.stream: VideoStream = video_stream(container, name)
        self.stream.thread_type = "AUTO"
        self.health = Health(name)
        self.origin_s: Fraction = origin_s(container)
        self.relay = relay_of(container, self.stream, self.origin_s, name) if copy_streams else None
        self._clock_breaks = clock_breaks(container)
        self._clock = Clock(name, self.origin_s, breaks=self._clock_breaks, tell=tell)
        self._decoder = decoder_of(self.stream, self.health.note_guessed)
        self._deinterlacer = Deinterlacer(name, tell) if deinterlace else None
        self._intact_frame_read = False
        self.frames: Generator[VideoFrame] = self._whole_frames()

    def first_frame(self) -> VideoFrame:
        """Decode the first frame.

        Raises:
            SourceError: no frame can be decoded; the message says why.
        """
        first = next(self.frames, None)
        if first is not None:
            self.health.forget_before(first.time or 0.0)
            return first
        codec = self.stream.codec_context.name
        raise SourceError(
            f"{self._name}: no frame of its {codec} video can be decoded "
            f"({self.health.first or 'the stream is empty'}); is it complete? An MP4 that comes "
            "through a pipe needs its index in front; otherwise give the file's name"
        )

    def orientation(self, first: VideoFrame) -> Orientation:
        """Return how the container wants the pictures to be turned, by the first frame."""
        return orientation_of(upright_frame(self._decoder) or first)

    def close(self) -> None:
        self.frames.close()
        self._container.close()

    def _whole_frames(self) -> Generator[VideoFrame]:
        """Yield whole frames with their times; pass other streams' packets to the relay."""
        stored_without_pts = self._container.format.name == "avi"
        for packet in self._packets():
            if packet is not None and packet.stream.index != self.stream.index:
                if self.relay is not None:
                    relay_packet(packet, self.relay)
                continue
            for frame in self._decode(packet):
                if stored_without_pts and frame.dts is not None:
                    frame.pts = frame.dts
                if not frame.is_corrupt:
                    self._intact_frame_read = True
                elif not self._just_joined(frame.pts, frame.time_base):
                    self.health.note_guessed(frame)
                # A filter that looks ahead returns no frame at first, and more than one later
                if self._deinterlacer is None:
                    yield frame
                else:
                    yield from self._deinterlacer.through(frame)
        if self._deinterlacer is not None:
            yield from self._deinterlacer.rest()

    def _packets(self) -> Iterator[Any]:
        """Yield all packets, then PyAV's empty packets that flush decoders; None on an error."""
        try:
            for packet in self._container.demux():
                self._clock.set(packet)
                self.health.reach(packet)
                yield packet
        except (av.FFmpegError, OSError, ValueError) as error:  # or what a Python stream raises
            self.health.note(None, error)
            yield None

    def _decode(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        """Decode a packet; note it and return nothing if that fails."""
        if packet is not None and packet.is_corrupt and not self._clock_breaks:
            self.health.note(packet, ValueError("the packet is cut off"))
            return []
        try:
            return self._decoder.decode(packet)
        except av.FFmpegError as error:
            if packet is None or not self._just_joined(packet.pts, packet.time_base):
                self.health.note(packet, error)
            return []

    def _just_joined(self, pts: int | None, time_base: Fraction | None) -> bool:
        """Return whether a broadcast was just joined, where frames lack their references."""
        if not self._clock_breaks or pts is None or time_base is None:
            return False
        since_s = pts * time_base - self._clock.joined_s
        return not self._intact_frame_read or 0 <= since_s < SETTLING_S
