"""Conversion of HDR and wide gamuts to SDR in BT.709 or sRGB."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.frame import Colour

HDR_NAMES = {16: "PQ", 18: "HLG"}
"""By transfer, in FFmpeg's numbers (ITU-T H.273)."""

SRGB = Colour(matrix=1, primaries=1, transfer=13)

_BT709, _BT2020, _UNSPECIFIED = 1, 9, 2
_WIDE = (9, 11, 12)  # BT.2020, DCI-P3, Display P3

_D65 = (0.3127, 0.3290)
_CHROMATICITIES = {  # red, green, blue, white: ITU-T H.273, table 2
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}
_LUMINANCES = {  # of red and blue, by matrix: ITU-T H.273, table 4
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_SDR_WHITE_NITS = 203  # ITU-R BT.2408: 58 % in PQ, 75 % in HLG
_HLG_PEAK_NITS, _HLG_GAMMA = 1000, 1.2  # the nominal display of ITU-R BT.2100
_HLG_LUMINANCE = (0.2627, 0.6780, 0.0593)
_DISPLAY_GAMMA = 2.4  # ITU-R BT.1886
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}
_STEPS = 65_535
_PIXELS_AT_ONCE = 1 << 15  # what is computed between the tables stays in the cache


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
    colour: Colour, target: Colour | None = None, yuv_bits: int | None = None
) -> ColourMapper:
    """Return a mapper as ColourMapper describes it, cached for the most recent kinds."""
    return ColourMapper(colour, target or mapped_colour(colour), yuv_bits)


class ColourMapper:
    """Converter of HDR and wide gamuts to SDR: tables for the curves, a matrix for the primaries.

    Relative to white: SDR white (203 nits in PQ, 75 % in HLG) becomes white, so that people keep
    their brightness; what is brighter, and colours outside the target's gamut, are clipped channel
    by channel. The matrix applies to light as a display shows it (ITU-R BT.2087), which FFmpeg's
    libswscale 9 and its scale filter do not do: they shift saturated colours by up to 68 codes.
    About 20 ms of processor time for a 720p image.

    Args:
        colour: of the samples, one that `mapped_colour` changes.
        target: what they become, in SDR.
        yuv_bits: the samples are YUV of `colour.matrix` and `colour.full_range`, shifted up to 16
            bits from so many; None for RGB in full range. FFmpeg's conversion of YUV to 16-bit RGB
            is two of 1023 levels too dark, which is much in a dark channel of HDR.
    """

    def __init__(self, colour: Colour, target: Colour, yuv_bits: int | None = None) -> None:
        self._to_rgb = None if yuv_bits is None else _rgb_matrix(colour, yuv_bits)
        hdr = colour.transfer in HDR_NAMES
        primaries = _BT2020 if colour.primaries == _UNSPECIFIED else colour.primaries
        self._matrix = _primaries_matrix(primaries, target.primaries).astype(np.float32)
        transfer = colour.transfer if hdr else _sdr_transfer(colour)
        self._light = _light_of(transfer)(np.arange(_STEPS + 1) / _STEPS).astype(np.float32)
        by_root = np.square(np.arange(_STEPS + 1) / _STEPS)
        self._gain: NDArray[np.float32] | None = None
        if HDR_NAMES.get(transfer) == "HLG":  # its display's system gamma (OOTF), by luminance
            gain = by_root ** (_HLG_GAMMA - 1) * (_HLG_PEAK_NITS / _SDR_WHITE_NITS)
            self._gain = gain.astype(np.float32)
        self._codes = np.rint(255 * _code_of(target.transfer)(by_root)).astype(np.uint8)

    def __call__(self, samples: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Map uint16 (H, W, 4), RGBA or YUVA, to uint8 RGBA (H, W, 4); alpha is only rounded."""
        mapped: NDArray[np.uint8] = np.empty(samples.shape, np.uint8)
        height, width = samples.shape[:2]
        lines = max(1, _PIXELS_AT_ONCE // width)
        for top in range(0, height, lines):
            part, result = samples[top : top + lines], mapped[top : top + lines]
            coded = part[..., :3]
            if self._to_rgb is not None:
                rgb = cv2.transform(coded.astype(np.float32), self._to_rgb)
                coded = np.clip(rgb, 0, _STEPS).astype(np.uint16)
            light = np.take(self._light, coded, mode="clip")
            if self._gain is not None:
                luminance = cv2.transform(light, np.array([_HLG_LUMINANCE], np.float32))
                light *= np.take(self._gain, _root_index(luminance), mode="clip")[..., np.newaxis]
            shown = np.clip(cv2.transform(light, self._matrix), 0, 1)
            result[..., :3] = np.take(self._codes, _root_index(shown), mode="clip")
            result[..., 3] = (part[..., 3] + np.uint32(128)) // 257
        return mapped


def _rgb_matrix(colour: Colour, bits: int) -> NDArray[np.float32]:
    """Return (3, 4) from Y, U, V and 1, stored in 16 bits, to RGB, 0 to 65535 (H.273, 8.3)."""
    red, blue = _LUMINANCES.get(colour.matrix, _LUMINANCES[_BT2020])
    green = 1 - red - blue
    decoded = np.array(  # from luma in [0, 1] and differences of colour in [-0.5, 0.5]
        [
            [1, 0, 2 - 2 * red],
            [1, -blue * (2 - 2 * blue) / green, -red * (2 - 2 * red) / green],
            [1, 2 - 2 * blue, 0],
        ]
    )
    step = 1 << (16 - bits)
    largest = float(_STEPS + 1 - step)
    spans = [largest] * 3 if colour.full_range else [219 * 256.0, 224 * 256.0, 224 * 256.0]
    zeros = [0.0 if colour.full_range else 16 * 256.0, 32768.0, 32768.0]
    scaled = decoded / spans
    rounding = 0.5 / _STEPS
    shift = rounding - scaled @ np.array(zeros)
    return np.asarray(_STEPS * np.column_stack([scaled, shift]), np.float32)


def _root_index(light: Any) -> NDArray[np.uint16]:
    """Return indices by the square root: steps that are even in light are too coarse near black."""
    index = cv2.sqrt(light) * np.float32(_STEPS) + np.float32(0.5)
    return np.asarray(index.astype(np.uint16))


def _primaries_matrix(source: int, target: int) -> NDArray[np.float64]:
    """Return the matrix from linear RGB to linear RGB that keeps white (SMPTE RP 177)."""
    to_xyz, white = _xyz_matrix(source)
    to_target, target_white = _xyz_matrix(target)
    cones = (_BRADFORD @ target_white) / (_BRADFORD @ white)  # DCI-P3's white is not D65
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD @ to_xyz
    return np.asarray(np.linalg.inv(to_target) @ adapted)


def _xyz_matrix(primaries: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the matrix from linear RGB to XYZ, and white in XYZ."""
    points = np.array(_CHROMATICITIES.get(primaries, _CHROMATICITIES[_BT709]))
    xyz = np.column_stack([points, 1 - points.sum(axis=1)]) / points[:, 1:]
    corners, white = xyz[:3].T, xyz[3]
    return corners * np.linalg.solve(corners, white), white


Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _light_of(transfer: int) -> Curve:
    """Return the curve from samples in [0, 1] to light, where 1 is SDR white (HLG: the scene's)."""
    if transfer == 16:  # SMPTE ST 2084

        def light(sample: NDArray[np.float64]) -> NDArray[np.float64]:
            root = sample ** (1 / 78.84375)
            ratio = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
            return np.asarray(10_000 * ratio ** (1 / 0.1593017578125) / _SDR_WHITE_NITS)

        return light
    if transfer == 18:  # ITU-R BT.2100
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return lambda sample: np.where(
            sample <= 0.5, sample**2 / 3, (np.exp((sample - c) / a) + b) / 12
        )
    if transfer == 13:  # sRGB
        return lambda sample: np.where(
            sample <= 0.04045, sample / 12.92, ((sample + 0.055) / 1.055) ** 2.4
        )
    return lambda sample: sample ** _GAMMAS.get(transfer, _DISPLAY_GAMMA)


def _code_of(transfer: int) -> Curve:
    """Return the curve from light in [0, 1] to samples in SDR."""
    if transfer == 13:
        return lambda light: np.where(
            light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055
        )
    return lambda light: light ** (1 / _GAMMAS.get(transfer, _DISPLAY_GAMMA))
