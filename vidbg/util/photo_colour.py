"""Colours of photos: ICC profiles, and HDR or wide gamuts named by code points, become sRGB."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms

from vidbg.frame import Colour

log = logging.getLogger(__name__)

_UNCHANGED = 2
"""A profile that moves no colour by more than this many codes is sRGB under another name."""


def in_srgb(picture: Pillow.Image, path: Path) -> Pillow.Image:
    """Convert the colours to sRGB by the ICC profile; the mode is "RGB" or "RGBA"."""
    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    profile = picture.info.get("icc_profile")
    try:
        transform = _to_srgb(profile, picture.mode, mode) if profile else None
        if transform is not None:
            picture = ImageCms.applyTransform(picture, transform) or picture
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        log.warning("%s: its colour profile cannot be used, sRGB is assumed: %s", path, error)
    return picture if picture.mode == mode else picture.convert(mode)


def _to_srgb(profile: bytes, mode: str, target: str) -> Any:
    """Return a transform to sRGB, or None if it would change almost nothing."""
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        target,
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if mode not in ("RGB", "RGBA"):
        return transform
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(9, -1, 3)
    probe = Pillow.fromarray(colours).convert(mode)
    moved = ImageCms.applyTransform(probe, transform)
    difference = np.abs(np.asarray(moved).astype(int)[..., :3] - colours)
    return transform if int(difference.max()) > _UNCHANGED else None


def mapped_to_srgb(picture: Pillow.Image, data: bytes, path: Path) -> Pillow.Image:
    """Map a photo whose file names HDR (PQ, HLG) or a wide gamut by code points (ITU-T H.273).

    PNG has them in cICP, AVIF and HEIF in a colr box ("nclx"). The samples are decoded at their
    full depth for it. What is brighter than SDR white is clipped.

    Args:
        picture: opened by Pillow, not decoded.
        data: the whole file.
    Returns:
        8-bit "RGB" or "RGBA" in sRGB, with the metadata; `picture` itself if nothing is to be done.
    """
    colour = _named_colour(picture, data)
    if colour is None:
        return picture
    # Imported for photos that need it: late imports make a live run's frames slower
    from vidbg.util.colour_mapping import HDR_NAMES, SRGB, mapped_colour, mapper_of

    if mapped_colour(colour) == colour:
        return picture
    samples = _deep_samples(picture, data)
    if samples is None:
        return picture
    if colour.transfer in HDR_NAMES:
        log.warning(
            "%s is HDR (%s): it is mapped to SDR (sRGB), and what is brighter than SDR white is "
            "clipped",
            path,
            HDR_NAMES[colour.transfer],
        )
    rgba = mapper_of(colour, SRGB)(samples)
    opaque = int(rgba[..., 3].min()) == 255
    mapped = Pillow.fromarray(np.ascontiguousarray(rgba[..., :3]) if opaque else rgba)
    mapped.info = {key: value for key, value in picture.info.items() if key != "icc_profile"}
    return mapped


def _named_colour(picture: Pillow.Image, data: bytes) -> Colour | None:
    """Return the colour that a file's code points name; its RGB samples have the full range."""
    if picture.format == "PNG":  # which ranks cICP above a profile
        place = data.find(b"cICP", 0, data.find(b"IDAT"))
        primaries, transfer = place + 4, place + 5
    elif picture.format in ("AVIF", "HEIF") and not picture.info.get("icc_profile"):
        place = data.find(b"colrnclx")
        primaries, transfer = place + 9, place + 11
    else:  # a profile says it more exactly
        return None
    return Colour(1, data[primaries], data[transfer], full_range=True) if place >= 0 else None


def _deep_samples(picture: Pillow.Image, data: bytes) -> NDArray[np.uint16] | None:
    """Decode to uint16 (H, W, 4), RGBA, 0 to 65535; None if the decoder fails."""
    samples: NDArray[Any] | None
    if picture.format == "HEIF":
        import pi_heif

        samples = np.asarray(pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False))
        order = {1: cv2.COLOR_GRAY2RGBA, 3: cv2.COLOR_RGB2RGBA}
    else:
        samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        order = {1: cv2.COLOR_GRAY2RGBA, 3: cv2.COLOR_BGR2RGBA, 4: cv2.COLOR_BGRA2RGBA}
    if samples is None:
        return None
    largest = np.iinfo(samples.dtype).max
    if picture.format == "AVIF" and largest > 255:  # OpenCV leaves them at their own depth
        largest = 4095 if data[data.find(b"av1C") + 6] & 0x20 else 1023
    code = order.get(1 if samples.ndim == 2 else samples.shape[2])
    deep = (samples.astype(np.uint32) * 65535 + largest // 2) // largest
    rgba = deep.astype(np.uint16)
    return rgba if code is None else np.asarray(cv2.cvtColor(rgba, code), np.uint16)
