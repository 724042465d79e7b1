"""Conversion of BGR frames to the pictures that a video encoder takes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal

import cv2
import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.encoding.formats import OutputKind
from vidbg.util.planes import plane_samples

Content = Literal["opaque", "transparent", "mask"]

# Averages chroma over the pixels that share it: 1.6 ms at 720p, at most 0.6 code off on flat
# patches. FFmpeg's fast path (1.2 ms) takes one pixel of four, and darkens by a code.
ACCURATE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
_INTERLACED = (1 << 18) | (1 << 29)  # AV_CODEC_FLAG_INTERLACED_DCT and _ME
_MATRICES = (1, 2, 4, 5, 6, 7, 9)


class EncoderPictures:
    """The converter for the frames of one stream.

    H.264 players need even sizes in 4:2:0: an odd side grows by one repeated row or column. VP9 and
    WebM as FFmpeg writes it cannot mark non-square pixels, so the side that is too short is
    enlarged to make them square. Interlaced frames are marked as such. A mask is the luma of a
    limited-range picture without colour, 16 + 219 * alpha: readers that ignore range flags also
    read it as limited, with an error of at most half a step (1 / 438).

    Args:
        info: of the frames.
        kind: the video to write.
        content: which part of the frames to write.

    Attributes:
        width, height: size of the pictures.
        pixel_format: FFmpeg's name.
        colour: how the pixels are converted, as the file should state it.
        sample_aspect_ratio: width over height of the pixels written.
        options, encoder_flags: FFmpeg's, for the encoder.
    """

    def __init__(self, info: StreamInfo, kind: OutputKind, content: Content) -> None:
        self._size = info.width, info.height
        if kind is OutputKind.VP9:  # the same shape, with square pixels
            aspect = info.sample_aspect_ratio
            wider, higher = max(aspect, Fraction(1)), min(aspect, Fraction(1))
            self._size = round(info.width * wider), round(info.height / higher)
        self.width, self.height = self._size
        if kind is OutputKind.H264:
            self.width, self.height = (side + side % 2 for side in self._size)
        squared = kind is OutputKind.VP9
        self.sample_aspect_ratio = Fraction(1) if squared else info.sample_aspect_ratio
        fields = info.field_order != "progressive" and kind is not OutputKind.VP9
        self.encoder_flags = _INTERLACED if fields else 0
        self.options = {"forced-idr": "1"} if kind is OutputKind.H264 else {}
        if fields and kind is OutputKind.H264:
            self.options["x264-params"] = "tff=1" if info.field_order == "top" else "bff=1"
        self.pixel_format = "yuva420p" if content == "transparent" else "yuv420p"
        if kind is OutputKind.PRORES_4444:
            self.pixel_format = "yuva444p10le"
        # ProRes uses 6 for BT.601 and has no full range.
        limited = kind is OutputKind.PRORES_4444 or content == "mask"
        matrix = info.colour.matrix if info.colour.matrix in _MATRICES else 2
        if kind is OutputKind.PRORES_4444 and matrix == 5:
            matrix = 6
        self.colour = replace(
            info.colour, matrix=matrix, full_range=info.colour.full_range and not limited
        )
        self._content = content
        self._reformatter = VideoReformatter()
        self._marks = _marking_graph(self, info) if fields else None

    def convert(self, frame: Frame) -> VideoFrame:
        """Convert a frame to a new picture without a time."""
        if self._content == "mask":
            picture = VideoFrame(self.width, self.height, self.pixel_format)
            luma, *chroma = (plane_samples(plane, np.uint8) for plane in picture.planes)
            alpha = self._padded(frame.alpha_or_opaque())
            cv2.convertScaleAbs(alpha, alpha=219.0, beta=16.0, dst=luma)
            for plane in chroma:
                plane.fill(128)
        else:
            picture = self._reformatter.reformat(
                VideoFrame.from_numpy_buffer(self._padded(frame.image), format="bgr24"),
                format=self.pixel_format,
                dst_colorspace=self.colour.matrix_at(self.height),
                dst_color_range=ColorRange.JPEG if self.colour.full_range else ColorRange.MPEG,
                interpolation=ACCURATE,
                threads=1,
            )
        if self._content == "transparent":
            alpha = self._padded(frame.alpha_or_opaque())
            # Fill the alpha plane at its own bit depth; alpha has no limited range.
            deep = picture.format.components[3].bits > 8
            plane = plane_samples(picture.planes[3], np.uint16 if deep else np.uint8)
            plane[:] = np.rint(alpha * np.float32(1023 if deep else 255))
        picture.colorspace = self.colour.matrix  # ProRes takes these from every picture
        picture.color_primaries = self.colour.primaries
        picture.color_trc = self.colour.transfer
        if self._marks is None:
            return picture
        self._marks.vpush(picture)
        return self._marks.vpull()

    def _padded(self, pixels: Any) -> Any:
        """Enlarge an image or alpha to square pixels and even sides, as the video needs."""
        if pixels.shape[1::-1] != self._size:
            pixels = cv2.resize(pixels, self._size, interpolation=cv2.INTER_CUBIC)
            pixels = np.clip(pixels, 0, 1) if pixels.dtype == np.float32 else pixels
        height, width = pixels.shape[:2]
        below, right = self.height - height, self.width - width
        if not below and not right:
            return np.ascontiguousarray(pixels)
        return cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE)


def _marking_graph(pictures: EncoderPictures, info: StreamInfo) -> Graph:
    """Create a filter that marks which field of each picture is the earlier one."""
    graph = Graph()
    source = graph.add_buffer(
        width=pictures.width,
        height=pictures.height,
        format=VideoFormat(pictures.pixel_format),
        time_base=Fraction(1, 90_000),
    )
    mark = graph.add("setfield", "tff" if info.field_order == "top" else "bff")
    graph.link_nodes(source, mark, graph.add("buffersink")).configure()
    return graph
