"""Alpha of HEVC videos, which is a second layer beside the picture (ITU-T H.265, annex F)."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.codec import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from vidbg.errors import SourceError
from vidbg.sources.files.hevc_units import HevcUnits, alpha_info, second_layer
from vidbg.util.planes import plane_samples

_MAX_WAITING = 64
"""Pictures that may wait for their alpha: decoders hold back 16 and one a thread."""

_Time = tuple[int | None, int]


class HevcDecoder:
    """A decoder of HEVC that adds the layer for alpha, if there is one.

    FFmpeg's decoder gives the base layer alone unless its caller asks for a pixel format, which
    PyAV does not. The layer for alpha is a complete stream of its own; with its layer's number set
    to 0, a second decoder decodes it.

    Args:
        usual: the stream's own context.
        name: of the input, for messages.

    Attributes:
        first: the first frame of the base layer, with the container's display matrix, if there is
            alpha; None otherwise, and before the first frame.
    """

    def __init__(self, usual: VideoCodecContext, name: str) -> None:
        self._usual = usual
        self._name = name
        self._units = HevcUnits(usual.extradata or b"")
        self._alpha: VideoCodecContext | None = None
        self._undecided = True
        self._pictures: dict[_Time, VideoFrame] = {}
        self._alphas: dict[_Time, VideoFrame] = {}
        self._counts = [0, 0]
        self.first: VideoFrame | None = None

    def decode(self, packet: Packet[Any] | None = None, /) -> list[VideoFrame]:
        """Decode a packet; None, or an empty one, returns what the decoders hold.

        Raises:
            SourceError: the colours are already multiplied by alpha.
            av.FFmpegError: it cannot be decoded; later packets can be.
        """
        if self._undecided and packet is not None and packet.size:
            self._undecided = False
            self._find_alpha(packet)
        if self._alpha is None:
            return self._usual.decode(packet)
        at_end = packet is None or not packet.size
        layer = packet
        if packet is not None and not at_end:
            layer = Packet(second_layer(self._units.of_packet(bytes(packet))))
            layer.pts, layer.dts, layer.time_base = packet.pts, packet.dts, packet.time_base
        pictures = self._usual.decode(packet)
        self.first = self.first or next(iter(pictures), None)
        self._pictures.update(self._by_time(pictures, 0))
        # An empty packet would tell the decoder that the stream ends
        if layer is not None and not layer.size and not at_end:
            raise av.InvalidDataError(1, "a picture lacks its alpha")
        self._alphas.update(self._by_time(self._alpha.decode(layer), 1))
        # Pair what both decoders have returned
        both = [time for time in self._pictures if time in self._alphas]
        done = [_merged(self._pictures[time], self._alphas[time]) for time in both]
        # Both return frames in order of time, so what is older than a pair stays without its other
        for waiting in (self._pictures, self._alphas) if both else ():
            times = list(waiting)
            for time in times[: times.index(both[-1]) + 1]:
                del waiting[time]
        if not done and len(self._pictures) > (0 if at_end else _MAX_WAITING):
            self._pictures.clear()
            raise av.InvalidDataError(1, "pictures lack their alpha")
        return done

    def _by_time(self, frames: list[VideoFrame], layer: int) -> dict[_Time, VideoFrame]:
        """Key frames by their time; by their number in a raw stream, which has no times."""
        numbered = {(frame.pts, self._counts[layer] + n): frame for n, frame in enumerate(frames)}
        self._counts[layer] += len(frames)
        return {key if key[0] is None else (key[0], 0): frame for key, frame in numbered.items()}

    def _find_alpha(self, first: Packet[Any]) -> None:
        """Set up the decoder of alpha if the first packet or the headers say that there is one."""
        units = [*self._units.of_packet(bytes(first)), *self._units.of_headers()]
        info = next((info for unit in units if (info := alpha_info(unit))), None)
        if info is None or info[0] & 0x80:  # the message cancels an earlier one
            return
        if info[0] & 0x70:
            raise SourceError(
                f"{self._name}: the colours of its HEVC video are already multiplied by alpha, "
                "which is not read; export ProRes 4444 or VP9 with alpha"
            )
        self._alpha = CodecContext.create("hevc", "r")
        self._alpha.thread_count = 0
        self._alpha.extradata = second_layer(self._units.of_headers())


def _merged(picture: VideoFrame, alpha: VideoFrame) -> VideoFrame:
    """Return a picture with the luma of another frame as its alpha, at the picture's depth."""
    merged = picture.reformat(format=picture.format.name.replace("yuv", "yuva", 1))
    merged.pts, merged.time_base, merged.duration = picture.pts, picture.time_base, picture.duration
    merged.colorspace, merged.color_range = picture.colorspace, picture.color_range
    merged.color_primaries, merged.color_trc = picture.color_primaries, picture.color_trc
    bits, alpha_bits = (frame.format.components[0].bits for frame in (picture, alpha))
    source = plane_samples(alpha.planes[0], np.uint16 if alpha_bits > 8 else np.uint8)
    target = plane_samples(merged.planes[3], np.uint16 if bits > 8 else np.uint8)
    difference = bits - alpha_bits
    target[:] = source.astype(np.uint16) << difference if difference > 0 else source >> -difference
    return merged
