"""Video files: H.264, or with transparency ProRes 4444 and VP9; audio and subtitles copied."""

from __future__ import annotations

import errno
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Literal, cast

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.encoding.formats import CONTAINERS, Encoding, OutputKind, codec_for, output_kind
from vidbg.sinks.encoding.pixel_conversion import Content, EncoderPictures
from vidbg.sinks.files.partial_file import PartialFile
from vidbg.sinks.files.stream_copy import CopiedStreams, written_tags
from vidbg.sinks.watching import Unwatched
from vidbg.util.lifecycle import Abortable
from vidbg.util.packets import PacketRelay

log = logging.getLogger(__name__)

_MP4 = (".mp4", ".m4v", ".mov")
_DISK_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EROFS,
    errno.ENODEV,
    errno.ENOENT,
)
_FIELD_ORDERS = {"progressive": 1, "top": 2, "bottom": 3}  # AV_FIELD_PROGRESSIVE, _TT, _BB
_DURABLE_MP4 = {
    "movflags": "+hybrid_fragmented",  # fragments; closing joins them and adds an index
    "frag_duration": "1000000",
    "flush_packets": "1",
}
_KEY_FRAME_S = 2
_DURABLE_MATROSKA = {"cluster_time_limit": "1000", "flush_packets": "1"}
_CLOCK = Fraction(1, 90_000)  # time unit for frames that carry a clock's time


class VideoFileSink(Unwatched, Abortable):
    """A sink that encodes frames with their own times, and copies audio and subtitles.

    Tags and chapters are copied. .mp4 and .mov keep every pts exactly; .mkv and .webm count in
    milliseconds and, if audio starts before 0, shift everything by that much. Frames with a
    clock's time (`info.time_base` None) start at 0. A frame is encoded when the next one arrives,
    because only then is its duration known. Sizes may change, see EncoderPictures.

    The file is written under a hidden name in the same folder and is renamed when it is complete.
    With `durable` it has its final name from the start, and can be played even if the program is
    killed, except for about the last second: it consists of fragments or clusters until it is
    closed.

    Args:
        path: ending in .mp4, .m4v, .mov, .mkv or .webm.
        info: of the frames: size, time unit, colour, pixel aspect ratio.
        content: "opaque" for the pictures; "transparent" for pictures with alpha (.mov or .webm);
            "mask" for the alpha alone, as a grey video. Frames without alpha count as opaque.
        encoding: quality and speed.
        relay: the packets to copy.
        overwrite: replace an existing file.
        durable: see above; abort() then keeps what was written. The file must be new.
    Raises:
        ConfigError: the suffix, the content and the encoding are not compatible.
        SinkError: the file cannot be written; or, while writing, a frame's size differs from
            `info`, its time does not increase, the disk is full, or the encoder fails.
    """

    def __init__(
        self,
        path: str | Path,
        info: StreamInfo,
        *,
        content: Content = "opaque",
        encoding: Encoding | None = None,
        relay: PacketRelay | None = None,
        overwrite: bool = False,
        durable: bool = False,
    ) -> None:
        kind = output_kind(path, alpha=content == "transparent")
        if kind is OutputKind.PICTURES:
            raise ConfigError(f"{path} is not a video file; allowed are {', '.join(CONTAINERS)}")
        codec = codec_for(kind, encoding or Encoding())
        # What a frame becomes, and when
        self._info = info
        self._pictures = EncoderPictures(info, kind, content)
        self._time_base = info.time_base or _CLOCK
        self._first_pts: float | None = None
        self._last_tick: int | None = None
        self._held: VideoFrame | None = None
        self._held_s: float | None = None
        self._durations: dict[int, int] = {}
        self._state: Literal["open", "closed", "aborted"] = "open"
        # The file: every stream is added before the header is written
        self._durable = durable
        self._file = PartialFile(path, overwrite=overwrite and not durable, named=durable)
        self._container = _container(self._file, self._time_base, relay, durable=durable)
        with self._failing("opened"):
            rate = info.frame_rate or Fraction(30)
            options = {**codec.options, **self._pictures.options}
            stream = self._container.add_stream(codec.name, rate=rate, options=options)
            self._stream = cast(VideoStream, stream)
            self._describe(self._stream, codec.threads)
            self._copied = CopiedStreams(self._container, relay, self._file.path.suffix)
            if relay is not None:
                self._copy_metadata(relay)
            self._container.start_encoding()
        self._report_changes(kind)

    def write(self, frame: Frame) -> None:
        if self._state != "open":
            raise SinkError(f"{self._file.path} was written to after it was {self._state}")
        expected = (self._info.height, self._info.width, 3)
        if frame.image.shape != expected:
            self.abort()
            raise SinkError(
                f"{self._file.path}: unexpected frame shape {frame.image.shape}; all frames of "
                f"this video are {expected}"
            )
        if self._first_pts is None:
            self._first_pts = frame.pts
        elapsed = frame.pts if self._info.time_base is not None else frame.pts - self._first_pts
        tick = round(elapsed * self._time_base.denominator / self._time_base.numerator)
        if self._last_tick is not None and tick <= self._last_tick:
            self.abort()
            raise SinkError(
                f"{self._file.path}: a frame at {frame.pts} s came after one at "
                f"{float(self._last_tick * self._time_base)} s; times must increase by at least "
                f"{float(self._time_base)} s"
            )
        self._last_tick = tick
        with self._failing("written"):
            picture = self._pictures.convert(frame)
            picture.pts, picture.time_base = tick, self._time_base
            self._encode_held(tick)
            self._held, self._held_s = picture, frame.duration_s
            self._copied.mux()

    @property
    def size_bytes(self) -> int:
        """Bytes written so far; 0 where the file is gone."""
        for path in (self._file.temporary, self._file.path):
            with suppress(OSError):
                return path.stat().st_size
        return 0

    def close(self) -> None:
        if self._state != "open":
            return
        if self._last_tick is None:
            self.abort()
            raise SinkError(f"{self._file.path}: no frames arrived, so there is no video to write")
        with self._failing("completed"):
            self._encode_held(None)
            self._mux(self._stream.encode(None))
            self._copied.finish()
            self._container.close()
        self._state = "closed"
        self._file.commit()

    def abort(self) -> None:
        if self._state != "open":
            return
        self._state = "aborted"
        self._held = None
        kept = self._durable and self._last_tick is not None
        if not kept:
            self._file.discard()
        with suppress(av.FFmpegError, OSError):  # PyAV writes the file's end, which is discarded
            self._container.close()
        if kept:
            self._file.commit()
        else:
            self._file.discard()

    def _encode_held(self, next_tick: int | None) -> None:
        """Encode the previous frame, whose duration is now known.

        The last frame's duration is the one its source gives. If it is far longer than a period,
        it becomes a key frame: no other frame is then stored after it, whose duration players
        would use.
        """
        picture, self._held = self._held, None
        if picture is None:
            return
        start = picture.pts or 0
        period = max(1, round(1 / (self._info.frame_rate or 30) / self._time_base))
        if next_tick is not None:
            picture.duration = next_tick - start
        else:
            said = round((self._held_s or 0) / self._time_base)
            usual = abs(said - period) <= period / 20  # containers round durations
            picture.duration = period if usual or not said else said
            if said > 1.5 * period:
                picture.pict_type = PictureType.I
        self._durations[start] = picture.duration
        self._mux(self._stream.encode(picture))

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts or 0, packet.duration)
            self._container.mux(packet)

    def _copy_metadata(self, relay: PacketRelay) -> None:
        """Copy tags, chapters and attached files; only Matroska can hold the last."""
        path = self._file.path
        self._container.metadata.update(relay.tags)
        self._stream.metadata.update(written_tags(relay.video_tags, path.suffix))
        self._container.set_chapters(relay.chapters)
        if self._container.format.name == "matroska":
            for file in relay.attachments:
                if file.name and file.mimetype:  # without either, Matroska's writer fails
                    self._container.add_attachment(file.name, file.mimetype, file.data)
        elif relay.attachments:
            names = ", ".join(str(attachment.name) for attachment in relay.attachments)
            log.warning(
                "%s cannot hold attached files, which are left out: %s; .mkv can", path, names
            )

    def _describe(self, stream: VideoStream, threads: int) -> None:
        """Set how the encoder and the container's header describe the video."""
        context, colour = stream.codec_context, self._pictures.colour
        context.width, context.height = self._pictures.width, self._pictures.height
        context.pix_fmt = self._pictures.pixel_format
        context.time_base = stream.time_base = self._time_base
        context.sample_aspect_ratio = self._pictures.sample_aspect_ratio
        context.flags |= self._pictures.encoder_flags
        context.field_order = _FIELD_ORDERS[self._info.field_order]
        context.thread_count = threads
        if self._durable:  # without an index, players can go to key frames only
            context.gop_size = round(_KEY_FRAME_S * (self._info.frame_rate or 30))
        context.colorspace = colour.matrix
        context.color_primaries = colour.primaries
        context.color_trc = colour.transfer
        context.color_range = 2 if colour.full_range else 1

    def _report_changes(self, kind: OutputKind) -> None:
        """Log how the video will differ from the frames."""
        info, pictures = self._info, self._pictures
        if kind is OutputKind.VP9 and info.field_order != "progressive":
            log.warning(
                "%s: .webm cannot say that its frames are interlaced, so players will show combs; "
                ".mp4, .mkv and .mov can",
                self._file.path,
            )
        if (pictures.width, pictures.height) == (info.width, info.height):
            return
        reason = "H.264 needs even sides, so the last row or column is repeated"
        if info.sample_aspect_ratio != 1 and pictures.sample_aspect_ratio == 1:
            reason = ".webm cannot mark pixels that are not square"
        log.info(
            "%s is %dx%d instead of %dx%d: %s",
            *(self._file.path, pictures.width, pictures.height, info.width, info.height, reason),
        )

    @contextmanager
    def _failing(self, action: str) -> Iterator[None]:
        """Remove the temporary file and raise SinkError if FFmpeg or the disk fails."""
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self.abort()
            advice = "another kind of file (-o NAME.mkv) may take what this one does not"
            if getattr(error, "errno", None) in _DISK_ERRORS:
                advice = "is the disk full, or has it gone?"
            end = "kept" if self._durable else "removed"
            raise SinkError(
                f"{self._file.path} cannot be {action}: {reason}; {advice}; what was written is "
                f"{end}"
            ) from error


def _container(
    file: PartialFile, time_base: Fraction, relay: PacketRelay | None, *, durable: bool
) -> OutputContainer:
    """Create a container for the temporary file, which is opened when the header is written."""
    suffix = file.path.suffix.lower()
    options = {}
    if suffix in _MP4:
        # The index comes first, and the clock makes each stream's first pts an integer
        units = [Fraction(s.time_base or 1) for s in (relay.streams if relay is not None else [])]
        exact = math.lcm(time_base.denominator, *(unit.denominator for unit in units))
        timescale = exact if exact < 2**31 else time_base.denominator
        options = {"movflags": "+faststart", "movie_timescale": str(timescale)}
    if durable:
        options |= _DURABLE_MP4 if suffix in _MP4 else _DURABLE_MATROSKA
    return av.open(
        str(file.temporary.absolute()),
        "w",
        format=CONTAINERS[suffix],
        container_options=options,
    )
