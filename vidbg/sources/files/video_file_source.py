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
from typing import BinaryIO

import av
from av.video.frame import VideoFrame

from vidbg.errors import SourceError, SourceIncomplete
from vidbg.frame import Colour, FieldOrder, Frame, StreamInfo
from vidbg.sources.files.container import open_container, source_name
from vidbg.sources.files.frame_decoder import FrameDecoder
from vidbg.sources.files.lengths import ends_midway, stored_end_s, stream_end_s
from vidbg.sources.files.orientation import UprightReader, has_alpha
from vidbg.sources.files.stream_colour import colour_of, report_mapping
from vidbg.sources.files.timeline import Tell, Timeline
from vidbg.util.choices import Interlaced
from vidbg.util.colour_mapping import mapped_colour
from vidbg.util.lifecycle import Closeable
from vidbg.util.paths import is_file

log = logging.getLogger(__name__)

_SHORTEST_S = 0.001  # of the last frame, whose time the container's end extends
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
        self._lock = threading.Lock()  # FFmpeg's contexts are used by one thread at a time
        self._closed = threading.Event()
        self._container = open_container(file, self._name)
        tell: Tell = log.info if again else log.warning
        deinterlace = interlaced == "deinterlace"
        try:
            self._decoder = FrameDecoder(
                self._container,
                self._name,
                copy_streams=copy_streams,
                deinterlace=deinterlace,
                tell=tell,
            )
            self.relay = self._decoder.relay
            first = self._decoder.first_frame()
            # Broadcasts mix interlaced frames with others, and the encoder has to be told before
            # the first one. They are taller than this in no standard.
            look_ahead = not deinterlace and first.height <= _MOST_INTERLACED_LINES
            ahead = deque(islice(self._decoder.frames, _AHEAD if look_ahead else 0))
            fields = any(frame.interlaced_frame for frame in (first, *ahead))
            colour = colour_of(first, self._decoder.stream)
            report_mapping(self._name, colour, tell)
            self._pixels = UprightReader(first, colour, tell, self._decoder.orientation(first))
            self._info = self._describe(first, mapped_colour(colour), fields=fields)
            self._timeline = Timeline(self._name, self._info.time_base, self._info.frame_rate, tell)
            self._frames = self._read(first, ahead)
        except BaseException:
            self._container.close()
            raise

    @property
    def info(self) -> StreamInfo:
        """`frame_count` and `duration_s` are the container's; an edit list can cut them short."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._lock:
                frame = None if self._closed.is_set() else next(self._frames, None)
                if self._closed.is_set():  # while this thread was reading, so it cleans up
                    self._frames.close()
                    self._decoder.close()
                    return
            if frame is None:
                return
            yield frame

    def close(self) -> None:
        """Stop reading without waiting for a read that hangs in a pipe, which cleans up later."""
        self._closed.set()
        if self._lock.acquire(timeout=1.0):
            try:
                self._frames.close()
                self._decoder.close()
            finally:
                self._lock.release()

    def _read(self, first: VideoFrame, ahead: deque[VideoFrame]) -> Generator[Frame]:
        """Yield each frame once the next one is known, because the last one may last longer."""
        held = self._frame(first, 0)
        waiting = (ahead.popleft() for _ in range(len(ahead)))  # each is freed once it is used
        for index, decoded in enumerate(chain(waiting, self._decoder.frames), 1):
            frame = self._frame(decoded, index)
            yield held
            held = frame
        container, origin_s = self._container, self._decoder.origin_s
        try:
            name, last_byte = container.format.name, self._decoder.health.last_byte
            midway = self._path is not None and ends_midway(self._path, name, last_byte)
            self._decoder.health.check_end(stored_end_s(container, origin_s), midway=midway)
        except SourceIncomplete:
            yield held
            raise
        # The last frame lasts until the container's end. Its packet's own duration may belong to
        # another frame: MP4 stores them in decoding order.
        end_s = stream_end_s(container, self._decoder.stream, origin_s)
        if end_s is not None and end_s - held.pts >= _SHORTEST_S:
            held = replace(held, duration_s=end_s - held.pts)
        yield held

    def _frame(self, decoded: VideoFrame, index: int) -> Frame:
        """Convert a decoded frame."""
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

    def _describe(self, first: VideoFrame, colour: Colour, *, fields: bool) -> StreamInfo:
        """Describe the video; `fields`: some of its first frames stay interlaced."""
        stream, container = self._decoder.stream, self._container
        duration_s = None
        if stream.duration and stream.time_base:
            duration_s = float(stream.duration * stream.time_base)
        elif container.duration:
            duration_s = container.duration / av.time_base
        aspect = stream.sample_aspect_ratio or Fraction(1)
        order: FieldOrder = "progressive"
        if fields:
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
