"""HEIC pictures of tiles, as phones write them: the boxes by ISO/IEC 23008-12."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from vidbg.frame import Colour

TILE = 128


def write_heic(path: Path, image: Any, turns: int = 0, colour: Colour | None = None) -> Path:
    """Write an image as a grid of HEVC tiles, to be turned left by `turns` x 90 degrees.

    Args:
        image: uint8 (H, W, 3), BGR, or uint16 for 10 bits a sample.
        colour: primaries and transfer to be named by code points.
    """
    height, width = image.shape[:2]
    rows, columns = -(-height // TILE), -(-width // TILE)
    padding = ((0, rows * TILE - height), (0, columns * TILE - width), (0, 0))
    padded = np.pad(image, padding, mode="edge")
    tiles = [
        _tile(padded[TILE * row :, TILE * column :][:TILE, :TILE])
        for row in range(rows)
        for column in range(columns)
    ]
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    items = [grid, *(data for _, data in tiles)]
    start = _box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    properties = _properties(tiles[0][0], (width, height), turns, colour)
    meta_bytes = len(_meta(0, items, properties))
    meta = _meta(len(start) + meta_bytes + 8, items, properties)
    path.write_bytes(start + meta + _box(b"mdat", *items))
    return path


def _tile(image: Any) -> tuple[bytes, bytes]:
    """Return the decoder's configuration (hvcC) and the data of one tile."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        options = {"crf": "4", "x265-params": "log-level=none:keyint=1"}
        stream: Any = container.add_stream("libx265", rate=Fraction(1), options=options)
        deep = image.dtype == np.uint16
        stream.width, stream.height = TILE, TILE
        stream.pix_fmt = pixel_format = "yuv420p10le" if deep else "yuv420p"
        stream.codec_context.color_range, stream.codec_context.colorspace = 1, 6
        stored = np.ascontiguousarray(image)
        frame = av.VideoFrame.from_ndarray(stored, format="bgr48le" if deep else "bgr24")
        frame = frame.reformat(format=pixel_format, dst_colorspace=5, dst_color_range=1)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    data = file.getvalue()
    return _content(data, b"hvcC"), _content(data, b"mdat")


def _content(data: bytes, kind: bytes) -> bytes:
    place = data.index(kind)
    return data[place + 4 : place - 4 + int.from_bytes(data[place - 4 : place], "big")]


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind + content


def _properties(
    decoder: bytes, size: tuple[int, int], turns: int, colour: Colour | None
) -> list[bytes]:
    """Build the properties: decoder and size of a tile, size, rotation and colours of the image."""
    sizes = [_box(b"ispe", struct.pack(">III", 0, *each)) for each in ((TILE, TILE), size)]
    properties = [_box(b"hvcC", decoder), *sizes, _box(b"irot", bytes([turns]))]
    if colour is not None:
        codes = struct.pack(">4sHHHB", b"nclx", colour.primaries, colour.transfer, 6, 0)
        properties.append(_box(b"colr", codes))
    return properties


def _meta(base: int, items: list[bytes], properties: list[bytes]) -> bytes:
    count = len(items)
    kinds = [b"grid", *[b"hvc1"] * (count - 1)]
    entries = [
        _box(b"infe", struct.pack(">IHH", 0x02000000 | (number > 1), number, 0), kind, b"\0")
        for number, kind in enumerate(kinds, 1)
    ]
    numbers = struct.pack(f">{count - 1}H", *range(2, count + 1))
    uses = _box(b"dimg", struct.pack(">HH", 1, count - 1), numbers)
    of_the_whole = [3, 0x84, *range(5, len(properties) + 1)]
    owners = [struct.pack(">HB", 1, len(of_the_whole)) + bytes(of_the_whole)]
    owners += [struct.pack(">HBBB", number, 2, 0x81, 2) for number in range(2, count + 1)]
    places, at = [], base
    for number, item in enumerate(items, 1):
        places.append(struct.pack(">HHHII", number, 0, 1, at, len(item)))
        at += len(item)
    return _box(
        b"meta",
        bytes(4),
        _box(b"hdlr", bytes(8), b"pict", bytes(13)),
        _box(b"pitm", struct.pack(">IH", 0, 1)),
        _box(b"iinf", struct.pack(">IH", 0, count), *entries),
        _box(b"iref", bytes(4), uses),
        _box(
            b"iprp",
            _box(b"ipco", *properties),
            _box(b"ipma", struct.pack(">II", 0, count), *owners),
        ),
        _box(b"iloc", struct.pack(">IBBH", 0, 0x44, 0, count), *places),
    )
