"""HDR and wide gamuts: the SDR result has the intended colours."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from clips import middles, patches, write_clip
from hdr import SDR_WHITE_NITS, TO_2020, TO_P3, hlg, nits_of_hlg, nits_of_pq, pq
from numpy.typing import NDArray

from vidbg.frame import Colour
from vidbg.sources.files.orientation import UprightReader
from vidbg.sources.files.video_file_source import VideoFileSource
from vidbg.util.colour_mapping import mapped_colour

IMAGE = patches(240, 144) // 2 + 50


def light(image: NDArray[Any], primaries: NDArray[Any]) -> NDArray[Any]:
    """Linear RGB, 1 is SDR white, of a BGR picture shown on a BT.1886 display."""
    return np.asarray(((image[..., ::-1] / 255) ** 2.4) @ primaries.T)


def luminances(colour: Colour) -> tuple[float, float]:
    """Of red and blue."""
    return (0.2627, 0.0593) if colour.matrix == 9 else (0.2126, 0.0722)


def ten_bits(rgb: NDArray[Any], kr: float, kb: float) -> av.VideoFrame:
    """Limited-range yuv444p10le of RGB in 0..1, by ITU-T H.273."""
    red, green, blue = (rgb[..., channel] for channel in range(3))
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    planes = [
        luma * 876 + 64,
        (blue - luma) / (2 * (1 - kb)) * 896 + 512,
        (red - luma) / (2 * (1 - kr)) * 896 + 512,
    ]
    frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], "yuv444p10le")
    for plane, samples in zip(frame.planes, planes, strict=True):
        samples_of: Any = plane
        rows = np.frombuffer(samples_of, np.uint16).reshape(plane.height, -1)
        rows[:, : plane.width] = np.rint(samples)
    return frame


def clip_of(path: Path, rgb: NDArray[Any], colour: Colour) -> Path:
    return write_clip(
        path, ticks=range(2), size=(rgb.shape[1], rgb.shape[0]), codec="ffv1", colour=colour,
        pixel_format="yuv444p10le", frame_of=lambda _: ten_bits(rgb, *luminances(colour)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("colour", "rgb", "name"),
    [
        (Colour(9, 9, 16), pq(light(IMAGE, TO_2020) * SDR_WHITE_NITS), "PQ"),
        (Colour(9, 9, 18), hlg(light(IMAGE, TO_2020) * SDR_WHITE_NITS), "HLG"),
        (Colour(9, 9, 14), light(IMAGE, TO_2020) ** (1 / 2.4), ""),
        (Colour(9, 9), light(IMAGE, TO_2020) ** (1 / 2.4), ""),
        (Colour(1, 12, 1), light(IMAGE, TO_P3) ** (1 / 2.4), ""),
    ],
)
def test_colours_are_those_that_were_meant(
    tmp_path: Path, caplog: pytest.LogCaptureFixture,
    colour: Colour, rgb: NDArray[Any], name: str,
) -> None:  # fmt: skip
    clip = clip_of(tmp_path / "a.mkv", rgb, colour)
    with caplog.at_level(logging.WARNING), VideoFileSource(clip) as source:
        assert source.info.colour == Colour(1, 1, 1)
        frames = list(source)
    for frame in frames:
        error = middles(frame.image).astype(int) - middles(IMAGE)
        assert np.abs(error).max() <= 6
        assert abs(error.mean()) < 1
    with VideoFileSource(clip, again=True):  # as a background is opened for its next round
        assert caplog.text.count("is mapped to SDR") == bool(name)
        assert name in caplog.text


def stored_rgb(frame: av.VideoFrame, kr: float, kb: float) -> NDArray[Any]:
    """RGB in 0..1 of a frame by `ten_bits`, by ITU-T H.273 in double precision."""
    planes = [np.frombuffer(memoryview(plane), np.uint16) for plane in frame.planes]
    luma, blue, red = (p.reshape(frame.height, -1)[:, : frame.width].astype(float) for p in planes)
    y, u, v = (luma - 64) / 876, (blue - 512) / 896, (red - 512) / 896
    r, b = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    return np.clip(np.stack([r, (y - kr * r - kb * b) / (1 - kr - kb), b], axis=-1), 0, 1)


CUBE = np.array([*itertools.product((0, 64, 128, 191, 255), repeat=3)], np.uint8).reshape(5, 25, 3)
SATURATED = np.kron(CUBE, np.ones((24, 24, 1), np.uint8))
PLAIN_2020 = (lambda light: light ** (1 / 2.4), lambda sample: sample**2.4)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    ("colour", "primaries", "encode", "decode"),
    [
        (Colour(9, 9, 16), TO_2020, lambda x: pq(x * 203), lambda x: nits_of_pq(x) / 203),
        (Colour(9, 9, 18), TO_2020, lambda x: hlg(x * 203), lambda x: nits_of_hlg(x) / 203),
        (Colour(9, 9, 14), TO_2020, *PLAIN_2020),
        (Colour(1, 12, 1), TO_P3, *PLAIN_2020),
    ],
)
def test_saturated_colours_are_those_of_the_standards(
    colour: Colour, primaries: NDArray[Any], encode: Any, decode: Any, wide: bool
) -> None:
    """All of BT.709's cube, and the wide gamut's own, which is clipped; 4 codes are 10 bits'."""
    shown = light(SATURATED, np.eye(3) if wide else primaries)
    frame = ten_bits(np.clip(encode(shown), 0, 1), *luminances(colour))
    meant = decode(stored_rgb(frame, *luminances(colour))) @ np.linalg.inv(primaries).T
    expected = np.rint(255 * np.clip(meant, 0, 1) ** (1 / 2.4))[..., ::-1]
    image, _ = UprightReader(frame, colour).read(frame)
    error = np.abs(middles(image).astype(int) - middles(expected))
    assert error.max() <= 4
    assert error.mean() < 0.2


@pytest.mark.parametrize("pixel_format", ["yuva444p10le", "yuva420p", "gbrap10le", "rgba64le"])
def test_alpha_and_full_range_of_wide_gamuts_are_exact(pixel_format: str) -> None:
    """White on both ends of alpha, in each kind of samples."""
    white = av.VideoFrame.from_ndarray(np.full((32, 48, 4), 65535, np.uint16), format="rgba64le")
    colour = Colour(1, 12, 13, full_range=True)
    frame = white.reformat(format=pixel_format, dst_colorspace=1, dst_color_range=2)
    image, alpha = UprightReader(frame, colour).read(frame)
    assert image.min() >= 252  # FFmpeg dithers the chroma of 8 bits
    assert alpha is None


@pytest.mark.parametrize("pixel_format", ["yuvj420p", "yuvj422p", "yuvj444p", "yuv444p"])
def test_greys_of_a_wide_gamut_in_full_range_stay(pixel_format: str) -> None:
    """FFmpeg's decoders name 8 bits in full range yuvj420p, as some phones write Display P3."""
    colour = Colour(1, 12, 1, full_range=True)
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    frame = av.VideoFrame(256, 16, pixel_format)
    planes: Any = frame.planes
    for plane, samples in zip(planes, (ramp, np.uint8(128), np.uint8(128)), strict=True):
        np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width] = samples
    image, _ = UprightReader(frame, colour).read(frame)
    assert np.abs(image.astype(int) - ramp[..., np.newaxis]).max() <= 1


def test_what_is_brighter_than_white_is_white(tmp_path: Path) -> None:
    rgb = pq(np.full((*IMAGE.shape[:2], 3), 900.0))
    with VideoFileSource(clip_of(tmp_path / "a.mkv", rgb, Colour(9, 9, 16))) as source:
        assert next(iter(source)).image.min() >= 254


@pytest.mark.parametrize("colour", [Colour(), Colour(1, 1, 1), Colour(5, 5, 6), Colour(6, 6, 13)])
def test_ordinary_colours_are_not_mapped(colour: Colour) -> None:
    assert mapped_colour(colour) is colour
