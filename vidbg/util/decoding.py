"""Decoding of text files as editors and shells write them."""

from __future__ import annotations

import codecs
import errno
import stat
from pathlib import Path

MAX_BYTES = 1_000_000
"""Largest file of settings, in bytes."""

_BYTE_ORDER_MARKS = {  # the longer ones first: UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def settings_text(file: Path) -> str:
    """Read a file of settings.

    Raises:
        OSError: it cannot be read, is a pipe, or is larger than MAX_BYTES; `strerror` says which.
        UnicodeDecodeError: see `decoded`.
    """
    if stat.S_ISFIFO(file.stat().st_mode):  # reading it could wait forever
        raise OSError(
            errno.ESPIPE, "it is a pipe, and settings are read again and again: save a file"
        )
    with file.open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise OSError(
            errno.EFBIG, f"it is larger than {MAX_BYTES / 1e6:g} MB, which no settings need"
        )
    return decoded(data)


def decoded(data: bytes) -> str:
    """Decode UTF-8, or what a byte order mark names, as Windows' editors and PowerShell write it.

    Raises:
        UnicodeDecodeError: it is something else.
    """
    encoding = next((e for mark, e in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    if encoding is None and b"\0" in data[:2]:  # ASCII in UTF-16 without a mark
        encoding = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    return data.decode(encoding or "utf-8-sig").replace("\r\n", "\n")
