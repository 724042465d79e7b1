"""Alpha of HEVC videos, which is a second layer beside the picture (ITU-T H.265, annex F)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
import cv2
import numpy as np
from av.codec import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from vidbg.sources.files.hevc_units import HevcUnits, alpha_info, single_layer
from vidbg.util.planes import plane_samples

_MAX_WAITING = 64
"""Pictures that may wait for their alpha: decoders hold back 16 and one a thread."""

_MULTIPLIED = 0x10
_LEAST_ALPHA = 8 / 255
"""Colours are divided by this at least, so that the noise of compression stays invisible."""

_Time = tuple[int | None, int]


class HevcDecoder:
    """A decoder of HEVC that adds the layer for alpha, if there is one.

    FFmpeg's decoder gives the base layer alone unless its caller asks for a pixel format, which
    PyAV does not, and refuses some headers of Apple's that describe both layers. Each layer is a
    complete stream of its own: with a header for one layer and 0 as the layer's number, a decoder
    each decodes them. Colours that are multiplied by alpha, as Apple's are, are divided by it. A
    picture whose alpha is lost gets the one before.

    Args:
        usual: the stream's own context.
        guessed: called with each picture whose alpha is lost.

    Attributes:
        first: the first frame of the base layer, with the container's display matrix, if there is
            alpha; None otherwise, and before the first frame.
    """

    def __init__(self, usual: VideoCodecContext, guessed: Callable[[VideoFrame], None]) -> None:
        self._usual = usual
        self._guessed = guessed
        self._units = HevcUnits(usual.extradata or b"")
        self._alpha: VideoCodecContext | None = None
        self._undecided = True
        self._multiplied = False
        self._pictures: dict[_Time, VideoFrame] = {}
        self._alphas: dict[_Time, VideoFrame] = {}
        self._last_alpha: VideoFrame | None = None
        self._counts = [0, 0]
        self.first: VideoFrame | None = None

    def decode(self, packet: Packet[Any] | None = None, /) -> list[VideoFrame]:
        """Decode a packet; None, or an empty one, returns what the decoders hold.

        Raises:
            av.FFmpegError: it cannot be decoded; later packets can be.
        """
        if self._undecided and packet is not None and packet.size:
            self._undecided = False
            self._find_alpha(packet)
        if self._alpha is None:
            return self._usual.decode(packet)
        base = layer = packet
        if packet is not None and packet.size:
            # behind start codes, which the decoders expect from the headers that they have got
            base, layer = (self._packet_of(packet, number) for number in (0, 1))
        pictures = self._usual.decode(base)
        self.first = self.first or next(iter(pictures), None)
        self._pictures.update(self._by_time(pictures, 0))
        at_end = base is packet
        # An empty packet would tell the decoder that the stream ends
        if at_end or (layer is not None and layer.size):
            self._alphas.update(self._by_time(self._alpha.decode(layer), 1))
        return self._merge_waiting(at_end=at_end)

    def _packet_of(self, packet: Packet[Any], number: int) -> Packet[Any]:
        """Return a packet of one layer alone."""
        layer: Packet[Any] = Packet(single_layer(self._units.of_packet(bytes(packet)), number))
        layer.pts, layer.dts, layer.time_base = packet.pts, packet.dts, packet.time_base
        layer.duration = packet.duration
        return layer

    def _merge_waiting(self, *, at_end: bool) -> list[VideoFrame]:
        """Return the pictures whose alpha has come, and those whose alpha will never come."""
        waiting = list(self._pictures)
        newest = max((n for n, time in enumerate(waiting) if time in self._alphas), default=-1)
        # Both decoders go by time, so what is older than a pair stays without its other
        count = len(waiting) if at_end else max(newest + 1, len(waiting) - _MAX_WAITING)
        if self._last_alpha is None and newest >= 0:
            self._last_alpha = next(a for t, a in self._alphas.items() if t in self._pictures)
        merged = []
        for time in waiting[: max(0, count)]:
            picture, alpha = self._pictures.pop(time), self._alphas.pop(time, None)
            self._last_alpha = alpha or self._last_alpha
            if self._last_alpha is not None:
                merged.append(_merged(picture, self._last_alpha, divide=self._multiplied))
            if alpha is None:
                self._guessed(picture)
        if newest >= 0:
            reached = waiting[newest][0]
            for time in list(self._alphas):
                if reached is not None and time[0] is not None and time[0] < reached:
                    del self._alphas[time]  # its picture could not be decoded
        if count > 0 and not merged:
            raise av.InvalidDataError(1, "pictures lack their alpha")
        return merged

    def _by_time(self, frames: list[VideoFrame], layer: int) -> dict[_Time, VideoFrame]:
        """Key frames by their time; by their number in a raw stream, which has no times."""
        numbered = {(frame.pts, self._counts[layer] + n): frame for n, frame in enumerate(frames)}
        self._counts[layer] += len(frames)
        return {key if key[0] is None else (key[0], 0): frame for key, frame in numbered.items()}

    def _find_alpha(self, first: Packet[Any]) -> None:
        """Set up the decoders of both layers if the first packet or the headers tell of alpha."""
        units = [*self._units.of_packet(bytes(first)), *self._units.of_headers()]
        info = next((info for unit in units if (info := alpha_info(unit))), None)
        if info is None or info[0] & 0x80:  # the message cancels an earlier one
            return
        self._multiplied = info[0] & 0x70 == _MULTIPLIED
        self._alpha = CodecContext.create("hevc", "r")
        self._alpha.thread_count = 0
        for number, context in enumerate((self._usual, self._alpha)):
            context.extradata = single_layer(self._units.of_headers(), number)


def _merged(picture: VideoFrame, alpha: VideoFrame, *, divide: bool) -> VideoFrame:
    """Return a picture with the luma of another frame as its alpha, at the picture's depth.

    Args:
        divide: the picture's colours are multiplied by alpha; divide them by it.
    """
    merged = picture.reformat(format=picture.format.name.replace("yuv", "yuva", 1))
    merged.pts, merged.time_base, merged.duration = picture.pts, picture.time_base, picture.duration
    merged.colorspace, merged.color_range = picture.colorspace, picture.color_range
    merged.color_primaries, merged.color_trc = picture.color_primaries, picture.color_trc
    bits, alpha_bits = (frame.format.components[0].bits for frame in (picture, alpha))
    source = plane_samples(alpha.planes[0], np.uint16 if alpha_bits > 8 else np.uint8)
    kind = np.uint16 if bits > 8 else np.uint8
    *colours, target = (plane_samples(plane, kind) for plane in merged.planes)
    if source.shape != target.shape:
        source = cv2.resize(source, target.shape[::-1], interpolation=cv2.INTER_AREA)
    scale = ((1 << bits) - 1) / ((1 << alpha_bits) - 1)
    target[:] = source if scale == 1 else np.rint(source * np.float32(scale)).astype(kind)
    if divide:
        opacity = np.maximum(source / np.float32((1 << alpha_bits) - 1), np.float32(_LEAST_ALPHA))
        black = 0 if picture.color_range == ColorRange.JPEG else 16
        for samples, zero in zip(colours, (black, 128, 128), strict=True):
            # the colour differences may have fewer samples than the alpha
            share = cv2.resize(opacity, samples.shape[::-1], interpolation=cv2.INTER_AREA)
            nothing = zero << (bits - 8)
            straight = (samples.astype(np.float32) - nothing) / share + nothing
            samples[:] = np.rint(np.clip(straight, 0, (1 << bits) - 1)).astype(kind)
    return merged
