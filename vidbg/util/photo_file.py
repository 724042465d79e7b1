"""Decoding of photos in every common format, upright and in sRGB."""

from __future__ import annotations

import io
import logging
import os
import threading
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from vidbg.errors import SourceError
from vidbg.frame import Alpha, Image
from vidbg.util.photo_colour import in_srgb, mapped_to_srgb
from vidbg.util.quiet_opencv import quiet_opencv

log = logging.getLogger(__name__)

MAX_PIXELS = 1 << 30
"""A picture with more pixels than this is refused: OpenCV works up to here."""

# Formats with a signature that nothing else has. EPS and the like, which start other programs,
# are left out on purpose.
_FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "PNG", "PPM", "PSD"),
    *("QOI", "TIFF", "WEBP"),
)
_FORMATS_BY_NAME = {".ico": "ICO", ".pcx": "PCX", ".sgi": "SGI", ".tga": "TGA"}
"""Formats whose signature is weak, tried only for files with their suffix."""

UNREAD_SUFFIXES = (
    ".arw", ".cr2", ".cr3", ".dng", ".exr", ".hdr", ".jxl", ".nef", ".orf", ".raf", ".rw2", ".svg",
)  # fmt: skip
"""Suffixes of pictures that cannot be decoded, or only as a thumbnail."""

_UNREAD = {  # by content, not by name
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"#?RGBE": "Radiance HDR",
    b"<svg": "SVG",
    b"<?xml": "SVG or other XML",
}
_WHOLE_IN_PILLOW = ("BMP", "GIF", "JPEG", "PNG", "WEBP")
"""Formats of which Pillow decodes every kind: where it fails, the file is damaged."""

_SEQUENCES = (b"avis", b"hevc", b"hevx", b"msf1")
_PHOTO_BRANDS = (b"avif", b"heic", b"heim", b"heis", b"heix", b"mif1", b"mif2")
_PHOTO_SIGNATURES = (b"\x89PNG", b"GIF8", b"8BPS", b"\0\0\0\x0cjP  ", b"II*\0", b"MM\0*")
_VIDEO_SIGNATURES = (b"\x1aE\xdf\xa3", b"OggS", b"FLV\1", b"\0\0\1\xba")
# An ICC profile may stand before the chunk that makes a PNG move, and an index of thousands of
# frames before an AVIF's track for alpha.
_HEAD_BYTES = 1 << 18
_TIFF_EXTRA_SAMPLES = 338
_pillow_state = threading.Lock()
"""Held while Pillow's own settings are changed."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded photo.

    Attributes:
        image: uint8 (H, W, 3), BGR, in sRGB, not multiplied by alpha; a new array.
        alpha: float32 (H, W) in [0, 1] where the picture is transparent anywhere, else None.
        pixel_aspect: the width of a pixel over its height, where the file gives one.
    """

    image: Image
    alpha: Alpha | None = None
    pixel_aspect: Fraction = Fraction(1)

    @classmethod
    def from_rgba(cls, pixels: NDArray[np.uint8], pixel_aspect: Fraction = Fraction(1)) -> Picture:
        """Make a picture of uint8 RGB (H, W, 3) or RGBA (H, W, 4)."""
        transparent = pixels.shape[2] == 4
        code = cv2.COLOR_RGBA2BGR if transparent else cv2.COLOR_RGB2BGR
        image = np.asarray(cv2.cvtColor(pixels, code), np.uint8)
        if not transparent or int(pixels[..., 3].min()) == 255:
            return cls(image, None, pixel_aspect)
        return cls(image, pixels[..., 3].astype(np.float32) / np.float32(255), pixel_aspect)


def read_picture(path: Path) -> Picture | None:
    """Decode a photo, applying its EXIF orientation and its colour profile.

    HDR (PQ, HLG) and wide gamuts are mapped to sRGB. Deep, grey, palette and CMYK photos become
    8-bit BGR. If a file holds several photos, the main one is read.

    Returns:
        The picture; None where the file is not one, or too damaged to tell.
    Raises:
        SourceError: the file cannot be read, its kind is one of UNREAD_SUFFIXES, or the picture
            has more than MAX_PIXELS pixels.
    """
    if path.suffix.lower() in UNREAD_SUFFIXES:
        raise SourceError(
            f"{path}: {path.suffix} pictures cannot be read; export it as JPEG, PNG or TIFF first"
        )
    try:
        with path.open("rb") as file:
            if path.is_file() and not begins_like_photo(path):  # a video may be large
                return None
            data = file.read()
    except OSError as error:
        raise SourceError(
            f"the picture {path} cannot be read: {error.strerror}; check the name and its rights"
        ) from error
    unread = next((kind for start, kind in _UNREAD.items() if data.startswith(start)), None)
    if unread is not None:
        raise SourceError(
            f"{path} is {unread}, which cannot be read; export it as JPEG, PNG or TIFF first"
        )
    try:
        return _decoded(data, path)
    except MemoryError as error:
        raise SourceError(
            f"the picture {path} does not fit into this machine's memory; scale it down first"
        ) from error


def begins_like_photo(path: Path) -> bool:
    """Return whether Pillow or OpenCV may know a file's format, by its first bytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if file.read(16).startswith(tuple(_UNREAD)):
            return True
        file.seek(0)
        try:
            open_picture(file, path.suffix)
        except Exception:  # any error on foreign data
            return cv2.haveImageReader(os.fspath(path))
    return True


def is_photo(path: Path) -> bool | None:
    """Return whether a file holds a photo, by its first bytes; None if they do not tell.

    An animation is none. JPEG does not tell, since MJPEG videos start in the same way.
    """
    head = _head(path)
    if head[4:8] == b"ftyp":
        return head[8:12] in _PHOTO_BRANDS
    if head.startswith(_VIDEO_SIGNATURES) or (head[:4] == b"RIFF" and head[8:11] == b"AVI"):
        return False
    if head.startswith(_PHOTO_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return not is_animated(path)
    return None


def is_animated(path: Path) -> bool:
    """Return whether a file is an animated GIF, WebP, PNG or AVIF, or a HEIF sequence.

    Also return False for a file that cannot be opened.
    """
    head = _head(path)
    return (
        _is_animated_webp(head)
        or (head.startswith(b"\x89PNG") and b"acTL" in head.partition(b"IDAT")[0])
        or (head[4:8] == b"ftyp" and head[8:12] in _SEQUENCES)
        or (head.startswith(b"GIF8") and _is_animated_gif(path))
    )


def _is_animated_gif(path: Path) -> bool:
    """Return whether a GIF has several frames, which its first bytes do not tell."""
    try:
        with path.open("rb") as file, open_picture(file) as picture:
            return bool(getattr(picture, "is_animated", False))
    except Exception:  # damaged: FFmpeg says what it is
        return True


def needs_repacking(path: Path) -> bool:
    """Return whether a file is an animation that FFmpeg cannot read or whose alpha it would lose.

    These are animated WebP, and AVIF with a track for alpha. False also if it cannot be opened.
    """
    head = _head(path)
    return _is_animated_webp(head) or (head[4:12] == b"ftypavis" and b"auxv" in head)


def _is_animated_webp(head: bytes) -> bool:
    webp = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X"
    return webp and len(head) > 20 and bool(head[20] & 0x02)


def _head(path: Path) -> bytes:
    try:
        if not path.is_file():  # the first bytes of a pipe can be read only once
            return b""
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""


def open_picture(file: BinaryIO, suffix: str = "") -> Pillow.Image:
    """Read a photo's header with Pillow, without Pillow's own size limit.

    Args:
        suffix: of the file's name, for formats that their first bytes do not tell.
    Raises:
        PIL.UnidentifiedImageError: Pillow does not know the format; foreign data can raise others.
    """
    named = _FORMATS_BY_NAME.get(suffix.lower())
    formats = _FORMATS if named is None else (*_FORMATS, named)
    with _pillow_state:
        if "HEIF" not in Pillow.OPEN:
            import pi_heif

            pi_heif.register_heif_opener(thumbnails=False)
        usual, Pillow.MAX_IMAGE_PIXELS = Pillow.MAX_IMAGE_PIXELS, None
        try:
            return Pillow.open(file, formats=formats)
        finally:
            Pillow.MAX_IMAGE_PIXELS = usual


def decode_picture(picture: Pillow.Image, path: Path) -> Picture:
    """Decode a photo from `open_picture`; damaged data can raise any error from Pillow."""
    picture.load()
    aspect = _pixel_aspect(picture)
    try:
        picture = ImageOps.exif_transpose(picture)
    except Exception as error:  # many programs write EXIF, some of them incorrectly
        log.debug("%s: its EXIF cannot be read: %s", path, error)
    if picture.mode.startswith(("I;16", "F")):
        return Picture(_deep(np.asarray(picture)), pixel_aspect=aspect)
    # A mode that ICC profiles cover, or one with straight alpha
    if picture.mode == "RGBX" and _TIFF_EXTRA_SAMPLES not in getattr(picture, "tag_v2", {}):
        picture = Pillow.fromarray(np.asarray(picture), "RGBA")  # a fourth channel left unnamed
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
    elif picture.mode not in ("L", "RGB", "CMYK"):
        picture = picture.convert("RGB")
    return Picture.from_rgba(np.asarray(in_srgb(picture, path)), aspect)


def _decoded(data: bytes, path: Path) -> Picture | None:
    """Decode a file's content by what knows it best: Pillow, else OpenCV or FFmpeg."""
    # Pillow fails at SGI's run lengths, and OpenCV swaps the colours of PAM and drops its alpha
    if data.startswith((b"P7\n", b"\x01\xda\0", b"\x01\xda\1")):
        return _by_ffmpeg(data, path)
    try:
        picture = open_picture(io.BytesIO(data), path.suffix)
    except Exception as error:  # Pillow's plug-ins can raise any error on foreign data
        log.debug("%s: Pillow cannot open it: %s", path, error)
        return _by_opencv(data, path)
    if picture.width * picture.height > MAX_PIXELS:
        raise SourceError(_too_large(path, picture.width, picture.height))
    try:
        return decode_picture(mapped_to_srgb(picture, data, path), path)
    except MemoryError:
        raise
    except Exception as error:  # likewise on damaged data
        log.debug("%s: Pillow cannot decode it: %s", path, error)
        return None if picture.format in _WHOLE_IN_PILLOW else _by_opencv(data, path)


def _pixel_aspect(picture: Pillow.Image) -> Fraction:
    """Return the pixel aspect from PNG's pHYs or JFIF if they give a ratio without a unit."""
    across, down = picture.info.get("aspect", (1, 1))
    if picture.info.get("jfif_unit") == 0:
        across, down = picture.info.get("jfif_density", (1, 1))
    if across <= 0 or down <= 0:
        return Fraction(1)
    aspect = Fraction(int(down), int(across))  # both are densities: pixels per length
    turned = picture.getexif().get(0x0112, 1) >= 5
    return 1 / aspect if turned else aspect


def _too_large(path: Path, width: int, height: int) -> str:
    return (
        f"the picture {path} has {width}x{height} pixels; allowed are {MAX_PIXELS} in all, "
        "32768x32768 for example: scale it down first"
    )


def _by_opencv(data: bytes, path: Path) -> Picture | None:
    """Decode with OpenCV what Pillow does not read, such as floats."""
    if not data:
        return None
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        with quiet_opencv():
            decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        log.debug("%s: OpenCV cannot decode it: %s", path, error)
        return None
    return None if decoded is None else Picture(_deep(decoded))


def _by_ffmpeg(data: bytes, path: Path) -> Picture | None:
    """Decode PAM or SGI with FFmpeg, to 8 bits."""
    import av  # these photos are rare, and a live run would import it for nothing else

    decoder: Any = av.CodecContext.create("pam" if data.startswith(b"P7") else "sgi", "r")
    try:
        frame = decoder.decode(av.Packet(data))[0]
        if frame.width * frame.height > MAX_PIXELS:
            raise SourceError(_too_large(path, frame.width, frame.height))
        pixels = frame.to_ndarray(format="rgba")
    except (av.FFmpegError, ValueError, IndexError) as error:
        log.debug("%s: FFmpeg cannot decode it: %s", path, error)
        return None
    return Picture.from_rgba(pixels)


def _deep(picture: NDArray[Any]) -> Image:
    """Convert 8- or 16-bit samples or floats in [0, 1], 1 or 3 channels, to 8-bit BGR."""
    if picture.dtype != np.uint8:
        scale = 255.0 if picture.dtype.kind == "f" else 255.0 / np.iinfo(picture.dtype).max
        picture = np.rint(np.clip(picture * scale, 0, 255)).astype(np.uint8)
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return cast(Image, picture)
