"""NAL units of HEVC streams (ITU-T H.265): splitting, a layer alone, the message on alpha."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_VPS, _PREFIX_SEI = 32, 39
_ALPHA_CHANNEL_INFO = 165
_START_CODE = b"\0\0\0\1"
_PLAIN_VPS = bytes.fromhex("40010c01ffff016000000300900000030000030078959809")
"""Of one layer. The stream's own describes both layers, and some of Apple's FFmpeg 8.1 refuses."""


class HevcUnits:
    """Splitter of a stream's packets and headers into NAL units.

    Args:
        extradata: the stream's headers: hvcC (ISO/IEC 14496-15), whose packets give the length of
            each unit, or units behind start codes.
    """

    def __init__(self, extradata: bytes) -> None:
        self._extradata = extradata
        prefixed = len(extradata) > 22 and extradata[0] == 1
        self._length_bytes = 1 + (extradata[21] & 3) if prefixed else 0  # 0: start codes

    def of_packet(self, data: bytes) -> Iterator[bytes]:
        """Yield the units of a packet."""
        if not self._length_bytes:
            yield from (unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:])
            return
        place = 0
        while place + self._length_bytes < len(data):
            start = place + self._length_bytes
            place = start + int.from_bytes(data[place:start], "big")
            yield data[start:place]

    def of_headers(self) -> Iterator[bytes]:
        """Yield the units of the headers, which hvcC stores as arrays."""
        data = self._extradata
        if not self._length_bytes:
            yield from self.of_packet(data)
            return
        place = 23
        for _ in range(data[22]):
            count, place = int.from_bytes(data[place + 1 : place + 3], "big"), place + 3
            for _ in range(count):
                start = place + 2
                place = start + int.from_bytes(data[place:start], "big")
                yield data[start:place]


def single_layer(units: Iterable[bytes], number: int) -> bytes:
    """Return the units of a layer as a stream of layer 0, behind start codes."""
    kept = []
    for unit in units:
        if len(unit) > 2 and _kind(unit) == _VPS:
            kept.append(_PLAIN_VPS)
        elif len(unit) > 2 and ((unit[0] & 1) << 5 | unit[1] >> 3) == number:
            kept.append(bytes([unit[0] & 0xFE, unit[1] & 7]) + unit[2:])
    return b"".join(_START_CODE + unit for unit in kept)


def alpha_info(unit: bytes) -> bytes:
    """Return the payload of an alpha channel information SEI message; empty if there is none."""
    if len(unit) < 5 or _kind(unit) != _PREFIX_SEI:
        return b""
    data, place = unit.replace(b"\0\0\3", b"\0\0"), 2
    while place + 2 < len(data):
        numbers = []  # type and size: the sum of bytes up to the first that is not 255
        for _ in range(2):
            number = 0
            while place < len(data) and data[place] == 255:
                number, place = number + 255, place + 1
            numbers.append(number + (data[place] if place < len(data) else 0))
            place += 1
        if numbers[0] == _ALPHA_CHANNEL_INFO:
            return data[place : place + numbers[1]]
        place += numbers[1]
    return b""


def _kind(unit: bytes) -> int:
    return (unit[0] >> 1) & 63
