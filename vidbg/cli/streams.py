"""Handling of standard streams that are closed or whose reader has gone."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


def secure_streams() -> None:
    """Keep closed streams and unread messages from ending a command.

    Launchers and services start programs with closed streams. Files opened later would get
    the numbers 0 to 2, and anything that a library prints would end up in them.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # uses the lowest free number, which is this one
    if sys.stderr is None or sys.stderr is sys.__stderr__:  # not while tests capture it
        encoding = getattr(sys.stderr, "encoding", "utf-8")
        sys.stderr = io.TextIOWrapper(
            _Unread(2, "wb", closefd=False), encoding, "backslashreplace", write_through=True
        )


class _Unread(io.FileIO):
    """Stream that ignores write errors, because messages matter less than the work."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError:
            return len(data)
