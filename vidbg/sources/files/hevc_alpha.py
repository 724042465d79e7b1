"""Alpha of HEVC videos, which is a second layer beside the picture (ITU-T H.265, annex F)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.codec import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from vidbg.errors import SourceError
from vidbg.util.planes import plane_samples

_VPS, _PREFIX_SEI = 32, 39
_ALPHA_CHANNEL_INFO = 165
_START = b"\0\0\0\1"
_PLAIN_VPS = bytes.fromhex("40010c01ffff016000000300900000030000030078959809")
"""Of one layer. The stream's own describes both layers, and some of Apple's FFmpeg 8.1 refuses."""

_MAX_WAITING = 64
"""Pictures without alpha after which it is given up; decoders hold back 16 and one a thread."""

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
        self._headers = usual.extradata or b""
        # 21 bytes into hvcC: how many bytes give the length of a unit; else start codes
        prefixed = len(self._headers) > 22 and self._headers[0] == 1
        self._length_bytes = 1 + (self._headers[21] & 3) if prefixed else 0
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
            self._decide(packet)
        if self._alpha is None:
            return self._usual.decode(packet)
        at_end = packet is None or not packet.size
        layer = packet if at_end else self._alpha_packet(packet)
        pictures = self._usual.decode(packet)
        self.first = self.first or next(iter(pictures), None)
        self._pictures.update(self._by_time(pictures, 0))
        # An empty packet would tell the decoder that the stream ends
        if layer is not None and not layer.size and not at_end:
            raise av.InvalidDataError(1, "a picture lacks its alpha")
        self._alphas.update(self._by_time(self._alpha.decode(layer), 1))
        both = [time for time in self._pictures if time in self._alphas]
        done = [_merged(self._pictures[time], self._alphas[time]) for time in both]
        # Both decoders go by time, so what is older than a pair will never be one
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

    def _decide(self, packet: Packet[Any]) -> None:
        self._undecided = False
        units = [*self._units(bytes(packet)), *self._header_units()]
        info = next((info for unit in units if (info := _alpha_info(unit))), None)
        if info is None or info[0] & 0x80:  # the message cancels an earlier one
            return
        if info[0] & 0x70:
            raise SourceError(
                f"{self._name}: the colours of its HEVC video are already multiplied by alpha, "
                "which is not read; export ProRes 4444 or VP9 with alpha"
            )
        self._alpha = CodecContext.create("hevc", "r")
        self._alpha.thread_count = 0
        self._alpha.extradata = _second_layer(self._header_units())

    def _alpha_packet(self, packet: Any) -> Packet[Any]:
        alpha: Packet[Any] = Packet(_second_layer(self._units(bytes(packet))))
        alpha.pts, alpha.dts, alpha.time_base = packet.pts, packet.dts, packet.time_base
        return alpha

    def _units(self, data: bytes) -> Iterator[bytes]:
        """Split a packet into NAL units."""
        if not self._length_bytes:
            yield from (unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:])
            return
        place = 0
        while place + self._length_bytes < len(data):
            start = place + self._length_bytes
            place = start + int.from_bytes(data[place:start], "big")
            yield data[start:place]

    def _header_units(self) -> Iterator[bytes]:
        """Split the extradata: arrays of units in hvcC (ISO/IEC 14496-15), else as a packet."""
        if not self._length_bytes:
            yield from self._units(self._headers)
            return
        place = 23
        for _ in range(self._headers[22]):
            count, place = int.from_bytes(self._headers[place + 1 : place + 3], "big"), place + 3
            for _ in range(count):
                start = place + 2
                place = start + int.from_bytes(self._headers[place:start], "big")
                yield self._headers[start:place]


def _kind(unit: bytes) -> int:
    return (unit[0] >> 1) & 63


def _second_layer(units: Iterator[bytes]) -> bytes:
    """Return the units of layer 1 as a stream of layer 0."""
    kept = []
    for unit in units:
        if len(unit) > 2 and _kind(unit) == _VPS:
            kept.append(_PLAIN_VPS)
        elif len(unit) > 2 and ((unit[0] & 1) << 5 | unit[1] >> 3) == 1:
            kept.append(bytes([unit[0] & 0xFE, unit[1] & 7]) + unit[2:])
    return b"".join(_START + unit for unit in kept)


def _alpha_info(unit: bytes) -> bytes:
    """Return the payload of an alpha channel information SEI message; empty if there is none."""
    if len(unit) < 5 or _kind(unit) != _PREFIX_SEI:
        return b""
    data, place = unit.replace(b"\0\0\3", b"\0\0"), 2
    while place + 2 < len(data):
        numbers = []  # type and size, each of bytes that are added up until one is not 255
        for _ in range(2):
            number = 0
            while place < len(data) and data[place] == 255:
                number, place = number + 255, place + 1
            numbers.append(number + (data[place] if place < len(data) else 0))
            place += 1
        if numbers[0] == _ALPHA_CHANNEL_INFO:
            return data[place : place + numbers[1]]
        place += numbers[1]
    return b""


def _merged(picture: VideoFrame, alpha: VideoFrame) -> VideoFrame:
    """Return a picture with the luma of another frame as its alpha; its depth is the picture's."""
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
