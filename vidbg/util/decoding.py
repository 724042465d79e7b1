"""Decoding of text files as editors and shells write them."""

from __future__ import annotations

import codecs

_BYTE_ORDER_MARKS = {  # the longer ones first: UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def decoded(data: bytes) -> str:
    """Decode UTF-8, or what a byte order mark names, as Windows' editors and PowerShell write it.

    Raises:
        UnicodeDecodeError: it is something else.
    """
    encoding = next((e for mark, e in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    if encoding is None and b"\0" in data[:2]:  # ASCII in UTF-16 without a mark
        encoding = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    return data.decode(encoding or "utf-8-sig").replace("\r\n", "\n")
