"""Decoding pictures: formats, orientation, alpha, colour profiles, what is refused."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from clips import middles, numbered, patches, write_clip
from hdr import SDR_WHITE_NITS, TO_2020, TO_P3, hlg, pq
from heic import write_heic
from PIL import Image as Pillow
from PIL import ImageCms
from profiles import display_p3

from vidbg.errors import SourceError
from vidbg.frame import Colour
from vidbg.sources import open_source
from vidbg.sources.files.images_source import ImagesSource, is_picture
from vidbg.util.photo_file import Picture, is_animated, read_picture


def read(path: Path) -> Picture:
    picture = read_picture(path)
    assert picture is not None
    return picture


def pillow_of(image: Any) -> Pillow.Image:
    return Pillow.fromarray(np.ascontiguousarray(image[..., ::-1]))


def with_alpha(image: Any, alpha: Any) -> Pillow.Image:
    picture = pillow_of(image)
    picture.putalpha(Pillow.fromarray(alpha))
    return picture


def error_of(one: Any, other: Any) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("turns", range(4))
def test_a_tiled_heic_is_read_completely_and_upright(tmp_path: Path, turns: int) -> None:
    upright = numbered(5, 300, 200)
    stored = np.ascontiguousarray(np.rot90(upright, -turns))
    picture = read(write_heic(tmp_path / "photo.heic", stored, turns))
    assert picture.image.shape == upright.shape
    assert error_of(picture.image, upright) < 4


@pytest.mark.parametrize("suffix", [".avif", ".jp2", ".jfif", ".bmp", ".tiff", ".webp", ".ppm"])
def test_formats_are_read_as_pictures(tmp_path: Path, suffix: str) -> None:
    image = numbered(5, 120, 80)
    name = {".jfif": "JPEG"}.get(suffix)
    path = tmp_path / f"a{suffix}"
    pillow_of(image).save(path, name)
    assert is_picture(path)
    with ImagesSource([path]) as source:
        (frame,) = source
    assert error_of(frame.image, image) < 4


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "AVIF"])
def test_animations_are_no_pictures(tmp_path: Path, kind: str) -> None:
    frames = [pillow_of(numbered(index, 64, 48)) for index in range(3)]
    path = tmp_path / f"a.{kind.lower()}"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:], duration=100)
    assert not is_picture(path)
    frames[0].save(path, kind)
    assert not is_animated(path)
    assert is_picture(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.txt", "a", "a.jpg"])
def test_a_picture_with_another_name_is_one(tmp_path: Path, name: str) -> None:
    image = numbered(3, 64, 48)
    pillow_of(image).save(tmp_path / name, "PNG")
    assert is_picture(tmp_path / name)
    assert error_of(read(tmp_path / name).image, image) == 0


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.heic"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_video_with_the_name_of_a_picture_is_a_video(
    tmp_path: Path, name: str, suffix: str
) -> None:
    write_clip(tmp_path / f"clip{suffix}", ticks=range(3)).rename(tmp_path / name)
    assert not is_picture(tmp_path / name)
    with open_source(tmp_path / name) as source:
        assert len(list(source)) == 3


@pytest.mark.parametrize("kind", ["GIF", "ICO", "PCX", "SGI", "TGA"])
def test_old_formats_are_read_as_pictures(tmp_path: Path, kind: str) -> None:
    image = numbered(3, 64, 48)
    path = tmp_path / f"a.{kind.lower()}"
    pillow_of(image).save(path, kind, **({"sizes": [(64, 48)]} if kind == "ICO" else {}))
    assert is_picture(path)
    assert error_of(read(path).image, image) < 1


@pytest.mark.parametrize("name", ["runs.sgi", "rgb.pam", "alpha.pam", "little.pfm", "big.pfm"])
def test_rare_formats_keep_colours_alpha_and_direction(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(1)
    rgba = rng.integers(0, 256, (20, 30, 4), np.uint8)
    rgba[:, :15] = rgba[:, :1]  # so that there are runs to encode
    rgb, alpha = rgba[..., :3], name == "alpha.pam"
    if name.endswith(".pam"):
        depth, kind, samples = (4, "RGB_ALPHA", rgba) if alpha else (3, "RGB", rgb)
        head = f"P7\nWIDTH 30\nHEIGHT 20\nDEPTH {depth}\nMAXVAL 255\nTUPLTYPE {kind}\nENDHDR\n"
        data = head.encode() + samples.tobytes()
    elif name.endswith(".pfm"):  # its lines go upwards
        scale, kind = (1, ">f4") if name == "big.pfm" else (-1, "<f4")
        data = f"PF\n30 20\n{scale}\n".encode() + (rgb[::-1] / 255).astype(kind).tobytes()
    else:
        encoder: Any = av.CodecContext.create("sgi", "w")
        encoder.width, encoder.height, encoder.pix_fmt = 30, 20, "rgb24"
        encoder.time_base = Fraction(1)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        data = b"".join(bytes(each) for each in (*encoder.encode(frame), *encoder.encode(None)))
        assert data[2] == 1  # run lengths
    (tmp_path / name).write_bytes(data)
    picture = read_picture(tmp_path / name)
    assert picture is not None
    assert np.array_equal(picture.image, rgb[..., ::-1])
    assert (picture.alpha is not None) == alpha
    if picture.alpha is not None:
        assert np.array_equal(np.rint(picture.alpha * 255), rgba[..., 3])
    (tmp_path / name).write_bytes(data[:300])
    assert read_picture(tmp_path / name) is None


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tiff", ".avif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_holds_where_there_is_alpha(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    upright = numbered(3, 64, 48)
    alpha = np.full((48, 64), 255, np.uint8)
    alpha[:10, :20] = 0
    turns = {1: 0, 3: 2, 6: 1, 8: 3}[orientation]  # to the left, as the camera was held
    stored = with_alpha(np.rot90(upright, turns), np.ascontiguousarray(np.rot90(alpha, turns)))
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    stored.save(path, exif=exif, lossless=True)
    picture = read(path)
    assert picture.alpha is not None
    assert picture.image.shape == upright.shape
    observed = alpha > 0
    assert error_of(picture.image[observed], upright[observed]) < 5
    np.testing.assert_allclose(picture.alpha, alpha / 255, atol=0.03)


@pytest.mark.parametrize("associated", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
def test_soft_alpha_of_a_tiff_is_applied_once(tmp_path: Path, associated: bool, depth: int) -> None:
    colour, share = np.array([40, 120, 200]), 128 / 255
    stored = np.rint(colour * share) if associated else colour
    pixel = np.array([*stored, 128]) * (257 if depth == 16 else 1)
    path = tmp_path / "a.tiff"
    write_tiff(path, np.broadcast_to(pixel, (6, 8, 4)), depth, 1 if associated else 2)
    picture = read(path)
    assert picture.alpha is not None
    np.testing.assert_allclose(picture.alpha, share, atol=0.003)
    np.testing.assert_allclose(picture.image[0, 0], colour[::-1], atol=2)


def write_tiff(path: Path, rgba: Any, depth: int, extra_samples: int) -> None:
    """Return an uncompressed RGBA TIFF, by the specification (TIFF 6.0)."""
    height, width = rgba.shape[:2]
    data = np.ascontiguousarray(rgba, "<u2" if depth == 16 else "u1").tobytes()
    short, long = 3, 4
    deep_at = 8 + 2 + 12 * 10 + 4
    entries = [
        (256, short, 1, width), (257, short, 1, height), (258, short, 4, deep_at),
        (259, short, 1, 1), (262, short, 1, 2), (273, long, 1, deep_at + 8),
        (277, short, 1, 4), (278, short, 1, height), (279, long, 1, len(data)),
        (338, short, 1, extra_samples),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    header = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    depths = struct.pack("<4H", *[depth] * 4)
    path.write_bytes(header + directory + bytes(4) + depths + data)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tiff"])
def test_colours_of_a_display_p3_photo_become_srgb(tmp_path: Path, suffix: str) -> None:
    image = patches(96, 72) // 2 + 60  # colours that sRGB has
    profile = ImageCms.ImageCmsProfile(io.BytesIO(display_p3()))
    stored = ImageCms.profileToProfile(
        pillow_of(image), ImageCms.createProfile("sRGB"), profile, outputMode="RGB"
    )
    assert stored is not None
    options: dict[str, Any] = {".png": {}, ".tiff": {}}.get(suffix, {"quality": 98})
    path = tmp_path / f"a{suffix}"
    stored.save(path, icc_profile=display_p3(), **options)
    observed = read(path).image
    assert np.abs(middles(observed).astype(int) - middles(image)).max() <= 8
    assert np.abs(middles(np.asarray(stored)[..., ::-1]).astype(int) - middles(image)).max() > 12


def png_chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def srgb(linear: Any) -> Any:
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def coded(path: Path, rgb: Any, colour: Colour, alpha: Any = None) -> Path:
    """Write RGB in 0..1 as a picture that names its colour by code points (ITU-T H.273)."""
    deep = np.rint(rgb[..., ::-1] * 65535).astype(np.uint16)
    if path.suffix == ".heic":
        return write_heic(path, deep, colour=colour)
    if path.suffix == ".avif":
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(deep), format="bgr48le")
        with av.open(path, "w", format="avif") as container:
            stream: Any = container.add_stream("libsvtav1", rate=1, options={"crf": "1"})
            stream.width, stream.height = deep.shape[1], deep.shape[0]
            stream.pix_fmt, context = "yuv420p10le", stream.codec_context
            context.color_primaries, context.color_trc = colour.primaries, colour.transfer
            context.colorspace, context.color_range = 5, 2
            frame = frame.reformat(format="yuv420p10le", dst_colorspace=5, dst_color_range=2)
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                container.mux(packet)
        return path
    if alpha is not None:
        deep = np.dstack([deep, alpha.astype(np.uint16) * 257])
    data = cv2.imencode(".png", deep)[1].tobytes()
    place, codes = data.index(b"IDAT") - 4, bytes([colour.primaries, colour.transfer, 0, 1])
    path.write_bytes(data[:place] + png_chunk(b"cICP", codes) + data[place:])
    return path


@pytest.mark.parametrize("suffix", [".png", ".avif", ".heic"])
@pytest.mark.parametrize(
    ("colour", "rgb", "name"),
    [
        (Colour(9, 9, 16), lambda linear: pq(linear @ TO_2020.T * SDR_WHITE_NITS), "HDR (PQ)"),
        (Colour(9, 9, 18), lambda linear: hlg(linear @ TO_2020.T * SDR_WHITE_NITS), "HDR (HLG)"),
        (Colour(1, 12, 13), lambda linear: srgb(linear @ TO_P3.T), ""),
    ],
)
def test_colours_named_by_code_points_become_srgb(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str,
    colour: Colour, rgb: Callable[[Any], Any], name: str,
) -> None:  # fmt: skip
    image = patches(192, 144) // 2 + 60
    values = image[..., ::-1] / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    path = coded(tmp_path / f"a{suffix}", rgb(linear), colour)
    observed = read(path).image
    assert observed.shape == image.shape
    assert np.abs(middles(observed).astype(int) - middles(image)).max() <= 8
    assert name in caplog.text
    assert caplog.text.count("mapped to SDR") == bool(name)


def test_hdr_keeps_alpha_and_orientation(tmp_path: Path) -> None:
    image, alpha = numbered(5, 96, 64) // 2 + 60, np.tile(np.linspace(0, 255, 96), (64, 1))
    values = pq(((image[..., ::-1] / 255) ** 2.2) @ TO_2020.T * SDR_WHITE_NITS)
    path = coded(tmp_path / "a.png", values, Colour(9, 9, 16), alpha.astype(np.uint8))
    data, exif = path.read_bytes(), Pillow.Exif()
    exif[0x0112] = 6
    place = data.index(b"IDAT") - 4
    chunk = png_chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    path.write_bytes(data[:place] + chunk + data[place:])
    picture = read(path)
    assert picture.alpha is not None
    np.testing.assert_allclose(picture.alpha, np.rot90(alpha, -1) / 255, atol=0.01)
    assert error_of(picture.image, np.rot90(image, -1)) < 4


def test_an_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    image = patches(96, 72)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pillow_of(image).save(tmp_path / "a.png", icc_profile=profile)
    assert np.array_equal(read(tmp_path / "a.png").image, image)


def test_a_broken_profile_is_reported_and_omitted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = patches(96, 72)
    pillow_of(image).save(tmp_path / "a.png", icc_profile=b"no profile" * 20)
    assert np.array_equal(read(tmp_path / "a.png").image, image)
    assert caplog.text.count("its colour profile cannot be used") == 1


def test_cmyk_and_palettes_become_bgr(tmp_path: Path) -> None:
    Pillow.new("CMYK", (20, 10), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=98)
    np.testing.assert_allclose(read(tmp_path / "a.jpg").image[5, 5], (0, 0, 255), atol=4)
    palette = Pillow.new("P", (20, 10), 1)
    palette.putpalette([0, 0, 0, 10, 20, 200])
    palette.putpixel((0, 0), 0)
    palette.save(tmp_path / "b.png", transparency=0)
    picture = read(tmp_path / "b.png")
    assert picture.alpha is not None
    assert (picture.alpha[0, 0], picture.alpha[5, 5]) == (0, 1)
    assert picture.image[5, 5].tolist() == [200, 20, 10]


def test_a_ratio_of_densities_is_a_pixels_shape(tmp_path: Path) -> None:
    picture = Pillow.new("RGB", (20, 10))
    picture.save(tmp_path / "a.jpg")
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    place = data.index(b"JFIF\0") + 7
    data[place : place + 5] = struct.pack(">BHH", 0, 3, 4)  # no unit, 3 across to 4 down
    (tmp_path / "a.jpg").write_bytes(data)
    assert read(tmp_path / "a.jpg").pixel_aspect == Fraction(4, 3)
    picture.save(tmp_path / "b.jpg", dpi=(72, 300))  # a printer's matter, not a screen's
    assert read(tmp_path / "b.jpg").pixel_aspect == 1


def huge_png(path: Path, width: int, height: int) -> Path:
    """Return a PNG's header; its pixels are never reached."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(b"\0"))]
    chunks.append(png_chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def test_pictures_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    path = huge_png(tmp_path / "huge.png", 40_000, 30_000)
    with pytest.raises(SourceError, match=r"huge\.png has 40000x30000 pixels; allowed are"):
        read_picture(path)


def test_photos_of_200_megapixels_are_accepted(tmp_path: Path) -> None:
    Pillow.new("1", (20_000, 10_000)).save(tmp_path / "a.png")
    before = Pillow.MAX_IMAGE_PIXELS
    assert read(tmp_path / "a.png").image.shape == (10_000, 20_000, 3)
    assert before == Pillow.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".avif", ".jp2", ".webp", ".tif", ".bmp"])
def test_a_picture_that_breaks_off_is_refused(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pillow_of(patches(240, 240)).save(tmp_path / f"a{suffix}")
    data = (tmp_path / f"a{suffix}").read_bytes()
    (tmp_path / f"a{suffix}").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(SourceError, match=r"is damaged or breaks off"):
        ImagesSource([tmp_path / f"a{suffix}"])
    assert capfd.readouterr().err == ""  # OpenCV's own complaints


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\x76\x2f\x31\x01\2\0\0\0", "OpenEXR"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe", "Radiance HDR"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', "SVG"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg">', "SVG or other XML"),
        (b"", "empty"),
    ],
)
def test_what_is_not_read_is_named_by_its_content(tmp_path: Path, start: bytes, kind: str) -> None:
    (tmp_path / "a.png").write_bytes(start)
    with pytest.raises(SourceError, match=f"a.png is {kind}"):
        ImagesSource([tmp_path / "a.png"])


def test_a_large_video_is_not_read_as_a_picture(tmp_path: Path) -> None:
    """As a background may be: only its first bytes decide."""
    for name in ("a.mp4", "a.ts", "a.mkv", "a.mpg"):
        with write_clip(tmp_path / name, codec="mpeg2video").open("r+b") as file:
            file.truncate(1 << 40)  # which takes no room, and would not fit into memory
        assert read_picture(tmp_path / name) is None


@pytest.mark.parametrize("suffix", [".jxl", ".DNG", ".hdr", ".svg"])
def test_kinds_that_are_not_read_are_refused_with_the_way_out(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Pillow.new("RGB", (8, 8)).save(path, "TIFF")  # as a DNG begins: with a thumbnail
    assert is_picture(path)
    with pytest.raises(SourceError, match="export it as JPEG, PNG or TIFF first"):
        read_picture(path)
