"""Small video files of every difficult kind, made on the spot."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vidbg.frame import Colour, Image

MP4 = (".mp4", ".mov")
SIZE = (64, 48)  # width, height
THIRTIETH = Fraction(1, 30)


def numbered(index: int, width: int, height: int) -> Image:
    """Draw an image that shows its number (as the level of blue) and which way is up."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (0, 0, 255)  # red at the top left
    image[: height // 2, width // 2 :] = (0, 255, 0)  # green at the top right
    image[height // 2 :] = (40 + 8 * (index % 24), 40, 40)
    return image


def number_of(image: Image) -> int:
    """Read the number (modulo 24) of an upright image by `numbered`."""
    height = image.shape[0]
    level = float(image[height // 2 + 4 : -4, 4:-4, 0].mean())
    return round((level - 40) / 8)


def patches(width: int, height: int, side: int = 24, seed: int = 0) -> Image:
    """Draw flat squares in random colours."""
    rows, columns = -(-height // side), -(-width // side)
    colours = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    squares = np.kron(colours, np.ones((side, side, 1), np.uint8))
    return np.ascontiguousarray(squares[:height, :width])


def middles(image: NDArray[Any], side: int = 24) -> NDArray[Any]:
    """Return the pixels in the middle of the squares of `patches`."""
    return image[side // 2 :: side, side // 2 :: side]


def yuv_frame(image: Image, kr: float, kb: float, *, full_range: bool) -> av.VideoFrame:
    """BGR to yuv444p by the textbook (ITU-T H.273, 8.3), apart from any library."""
    blue, green, red = (image[..., c] / 255 for c in range(3))
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    scale, offset, spread = (255, 0, 255) if full_range else (219, 16, 224)
    planes = (
        luma * scale + offset,
        (blue - luma) / (2 * (1 - kb)) * spread + 128,
        (red - luma) / (2 * (1 - kr)) * spread + 128,
    )
    stacked = np.stack([np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in planes])
    return av.VideoFrame.from_ndarray(stacked, format="yuv444p")


def write_clip(
    path: Path,
    *,
    ticks: Iterable[int] = range(12),
    time_base: Fraction = THIRTIETH,
    size: tuple[int, int] = SIZE,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    colour: Colour | None = None,
    matrix: Sequence[int] | None = None,
    aspect: Fraction | None = None,
    audio: str | None = None,
    cut_ticks: int = 0,
    file_format: str | None = None,
    frame_of: Callable[[int], av.VideoFrame] | None = None,
) -> Path:
    """Write a clip of `numbered` images at the given times and return its path.

    Args:
        matrix: the nine numbers of a display matrix.
        audio: the name of an audio encoder; a second of sound.
        cut_ticks: everything is shifted so far before 0 that the container cuts it off.
        frame_of: makes another picture.
    """
    container = av.open(
        str(path), "w", format=file_format, container_options=_container_options(path, time_base)
    )
    stream: Any = container.add_stream(codec, rate=30, options=options or {})
    stream.width, stream.height, stream.pix_fmt = *size, pixel_format
    stream.codec_context.time_base = stream.time_base = time_base
    if matrix is not None:
        stream.set_display_matrix(matrix)
    if aspect is not None:
        stream.codec_context.sample_aspect_ratio = aspect
    if colour is not None:
        _tag(stream.codec_context, colour)
    sound: Any = container.add_stream(audio, rate=48000) if audio else None
    if sound is not None:
        _mux_sound(container, sound)
    for index, tick in enumerate(ticks):
        frame = frame_of(index) if frame_of else _frame(index, size, pixel_format)
        frame.pts, frame.time_base = tick, time_base
        _mux(container, stream.encode(frame), cut_ticks, time_base)
    _mux(container, stream.encode(None), cut_ticks, time_base)
    container.close()
    return path


def audio_packets(path: Path) -> list[tuple[str, float]]:
    """(hash of the payload, pts in seconds) of every packet of the first audio stream."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        return [
            (hashlib.sha256(bytes(packet)).hexdigest(), float(packet.pts * packet.time_base))
            for packet in container.demux(audio=0)
            if packet.size and packet.pts is not None
        ]


def _container_options(path: Path, time_base: Fraction) -> dict[str, str]:
    """For MP4: the index in front, and a late start not rounded to milliseconds."""
    if path.suffix not in MP4:
        return {}
    return {"movflags": "faststart", "movie_timescale": str(time_base.denominator)}


def _frame(index: int, size: tuple[int, int], pixel_format: str) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(numbered(index, *size), format="bgr24")
    return frame.reformat(format=pixel_format, dst_colorspace=5, dst_color_range=1)


def _tag(context: Any, colour: Colour) -> None:
    context.colorspace, context.color_primaries = colour.matrix, colour.primaries
    context.color_trc, context.color_range = colour.transfer, 2 if colour.full_range else 1


def _mux(container: Any, packets: Any, cut_ticks: int, time_base: Fraction) -> None:
    for packet in packets:
        packet.time_base = time_base
        packet.pts, packet.dts = packet.pts - cut_ticks, packet.dts - cut_ticks
        container.mux(packet)


def _mux_sound(container: Any, stream: Any) -> None:
    stream.layout = "stereo"
    wave = (np.sin(np.arange(48000) / 17) * 9000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="s16p", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    context = stream.codec_context
    resampler = av.AudioResampler(context.format.name, "stereo", 48000, context.frame_size or 1024)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(part))
    container.mux(stream.encode(None))
