"""Lookup of the account that a local connection comes from, on Linux."""

from __future__ import annotations

import os
import sys
from asyncio import BaseTransport
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

_TABLES = Path("/proc/net/tcp"), Path("/proc/net/tcp6")
_ESTABLISHED = "01"  # in any other state the kernel may report root instead of the owner


def is_own_account(transport: BaseTransport) -> bool:
    """Return whether the other end belongs to this process's account; False if unknown."""
    if not sys.platform.startswith("linux"):
        return False
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if not isinstance(peer, tuple) or not isinstance(own, tuple):
        return False
    ends = set(zip(_entries(*peer[:2]), _entries(*own[:2]), strict=True))
    return any(
        len(row) > 7 and (row[1], row[2]) in ends and row[3] == _ESTABLISHED
        and row[7] == str(os.geteuid())
        for row in _rows()
    )  # fmt: skip


def _rows() -> Iterator[list[str]]:
    for table in _TABLES:
        with suppress(OSError):  # there is no tcp6 without IPv6
            yield from (line.split() for line in table.read_text().splitlines()[1:])


def _entries(address: str, port: int) -> tuple[str, str]:
    """Format an end as the IPv4 and IPv6 tables do: words in the machine's byte order."""
    whole = ip_address(address.partition("%")[0])
    mapped = IPv6Address(f"::ffff:{whole}") if isinstance(whole, IPv4Address) else whole
    packed = (mapped.packed[start : start + 4] for start in range(0, 16, 4))
    words = [f"{int.from_bytes(word, sys.byteorder):08X}" for word in packed]
    # An IPv4 address is the last word of the IPv6 address that stands for it
    ipv4 = f"{words[3]}:{port:04X}" if isinstance(whole, IPv4Address) else ""
    return ipv4, f"{''.join(words)}:{port:04X}"
