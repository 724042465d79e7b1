"""Colour profiles that the tests put into pictures."""

from __future__ import annotations

import struct

from PIL import ImageCms

P3_PRIMARIES = {
    b"rXYZ": (0.51512, 0.24119, -0.00105),
    b"gXYZ": (0.29198, 0.69225, 0.04189),
    b"bXYZ": (0.15710, 0.06657, 0.78407),
}


def display_p3() -> bytes:
    """Return the sRGB profile with the primaries of Display P3."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (count,) = struct.unpack_from(">I", profile, 128)
    for index in range(count):
        tag, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * index)
        if tag in P3_PRIMARIES:
            fixed = [round(value * 65536) for value in P3_PRIMARIES[tag]]
            struct.pack_into(">3i", profile, offset + 8, *fixed)
    return bytes(profile)
