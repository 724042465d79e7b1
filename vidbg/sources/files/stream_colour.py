"""How a video's samples are to be read as colours."""

from __future__ import annotations

import logging

from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from vidbg.frame import Colour
from vidbg.sources.files.timeline import Tell
from vidbg.util.colour_mapping import HDR_NAMES, mapped_colour

log = logging.getLogger(__name__)

_RGB_MATRIX = 0
_UNSPECIFIED = 2


def colour_of(first: VideoFrame, stream: VideoStream) -> Colour:
    """Return the colour of a stream's first frame; the container's where the frame has none."""
    stored = stream.codec_context

    def known(own: int, other: int) -> int:
        return int(own if own != _UNSPECIFIED else other)

    matrix = known(first.colorspace, stored.colorspace)
    full = first.format.name.startswith("yuvj") or first.color_range == ColorRange.JPEG
    yuv = not first.format.is_rgb and not first.format.has_palette
    return Colour(
        matrix=_UNSPECIFIED if matrix == _RGB_MATRIX else matrix,
        primaries=known(first.color_primaries, stored.color_primaries),
        transfer=known(first.color_trc, stored.color_trc),
        full_range=full and yuv,
    )


def report_mapping(name: str, colour: Colour, tell: Tell) -> None:
    """Tell the user that HDR is mapped to SDR; log it for a wide gamut."""
    if colour.transfer in HDR_NAMES:
        tell(
            "%s is HDR (%s): it is mapped to SDR (BT.709), and what is brighter than SDR white is "
            "clipped",
            name,
            HDR_NAMES[colour.transfer],
        )
    elif mapped_colour(colour) != colour:
        log.info("%s has a wide gamut: it is mapped to BT.709", name)
