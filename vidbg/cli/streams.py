"""Standard streams that may be closed, or whose reader may have gone."""

from __future__ import annotations

import io
import os
import sys
from typing import Any


def secure_streams() -> None:
    """Let no closed stream, and no message that nobody reads, end a command.

    Launchers and services start programs with closed streams. Files that are opened then would get
    the numbers 0 to 2, and whatever a library prints would go into them.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stderr is None or sys.stderr is sys.__stderr__:  # not while tests capture it
        encoding = getattr(sys.stderr, "encoding", "utf-8")
        sys.stderr = io.TextIOWrapper(
            _Unread(2, "wb", closefd=False), encoding, "backslashreplace", write_through=True
        )


class _Unread(io.FileIO):
    """Takes what cannot be written as written: messages matter less than the work."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError:
            return len(data)
