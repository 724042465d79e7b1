"""Conversion of HDR and wide gamuts to SDR in BT.709 or sRGB."""

from __future__ import annotations

import threading
from fractions import Fraction
from functools import lru_cache

import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vidbg.frame import Colour

HDR_NAMES = {16: "PQ", 18: "HLG"}
"""By transfer, in FFmpeg's numbers (ITU-T H.273)."""

SRGB = Colour(matrix=1, primaries=1, transfer=13)

_BT709, _BT2020, _UNSPECIFIED = 1, 9, 2
_WIDE = (9, 11, 12)  # BT.2020, DCI-P3, Display P3
_DEEP = "rgba64le"


def mapped_colour(colour: Colour) -> Colour:
    """Return a stream's colour after mapping: `colour` itself if there is nothing to map."""
    if colour.transfer in HDR_NAMES:
        return Colour(matrix=_BT709, primaries=_BT709, transfer=_BT709)
    if colour.primaries in _WIDE:
        return Colour(matrix=_BT709, primaries=_BT709, transfer=_sdr_transfer(colour))
    return colour


def _sdr_transfer(colour: Colour) -> int:
    """Return the SDR transfer; BT.2020 has other numbers for BT.709's curve at 10 and 12 bits."""
    return _BT709 if colour.transfer in (_UNSPECIFIED, 14, 15) else colour.transfer


@lru_cache(maxsize=4)
def mapper_of(
    width: int, height: int, colour: Colour, target: Colour | None = None
) -> ColourMapper:
    """Return a mapper for such frames, cached for the most recent kinds.

    A new mapper computes its table at its first frame, which takes 2.6 s, and a background is
    reopened each time it loops.

    Raises:
        av.FFmpegError: this FFmpeg cannot do it.
    """
    return ColourMapper(width, height, colour, target or mapped_colour(colour))


class ColourMapper:
    """Converter of one stream's frames to SDR by FFmpeg's colour management (libswscale).

    Relative to white: SDR white (203 nits in PQ, 75 % in HLG) becomes white, so that people keep
    their brightness; what is brighter, and colours outside BT.709, are clipped. About 20 ms for a
    720p picture.

    Args:
        width, height: of the frames as stored.
        colour: of the stream, one that `mapped_colour` changes.
        target: what the frames become, in SDR.
    Raises:
        av.FFmpegError: this FFmpeg cannot do it.
    """

    def __init__(self, width: int, height: int, colour: Colour, target: Colour) -> None:
        hdr = colour.transfer in HDR_NAMES
        transfer = colour.transfer if hdr else _sdr_transfer(colour)
        primaries = _BT2020 if colour.primaries == _UNSPECIFIED else colour.primaries
        self._lock = threading.Lock()
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=width, height=height, format=VideoFormat(_DEEP), time_base=Fraction(1, 1000)
        )
        scale = self._graph.add(
            "scale",
            f"in_primaries={primaries}:in_transfer={transfer}"
            f":out_primaries={target.primaries}:out_transfer={target.transfer}",
        )
        deep = self._graph.add("format", f"pix_fmts={_DEEP}")
        self._graph.link_nodes(source, scale, deep, self._graph.add("buffersink")).configure()

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint16]:
        """Return uint16 (H, W, 4), RGBA, not multiplied by alpha, from a frame in rgba64le."""
        with self._lock:
            self._graph.vpush(frame)
            mapped = self._graph.vpull()
        (plane,) = mapped.planes
        rows = np.frombuffer(memoryview(plane), np.uint16).reshape(mapped.height, -1)
        return rows[:, : 4 * mapped.width].reshape(mapped.height, mapped.width, 4)
