"""Terminal output of `vidbg run` while it is running."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, TextIO

import typer

if TYPE_CHECKING:
    from vidbg.pipeline.live import LiveStatus

REPORT_INTERVAL_S = 2.0

USUAL_COLUMNS = 80
"""Of a terminal that does not tell."""


class StatusLine:
    """Progress of a run at the terminal, as a context manager.

    Each change gets its own line. The frame rate is on one line that is overwritten, except
    on a terminal that cannot do that (TERM=dumb).
    """

    def __init__(self) -> None:
        self._reported_s = time.monotonic()
        self._state, self._eased = "", False
        self._terminal: OneLine | None = None
        self._before: TextIO | None = None

    def tell(self, status: LiveStatus) -> None:
        """Print changes immediately, and the frame rate every two seconds."""
        if self._terminal is None:
            return
        state = status.state.words + (f": {status.reason}" if status.reason else "")
        if state != self._state:
            self._state = state
            typer.echo(state, err=True)
        if status.reduced and not self._eased:  # reported once, because it comes and goes
            self._eased = True
            typer.echo(status.reduced, err=True)
        if status.reason is None and time.monotonic() - self._reported_s >= REPORT_INTERVAL_S:
            self._reported_s = time.monotonic()
            latency = f", {status.latency_ms:.0f} ms" if status.latency_ms else ""
            reduced = ", less exact edge" if status.reduced else ""
            self._terminal.show(
                f"{status.fps:5.1f} FPS{latency}, {status.cpu_percent:.0f} % of a core{reduced}"
            )

    def __enter__(self) -> StatusLine:
        if sys.stderr is not None and sys.stderr.isatty():
            self._before = sys.stderr
            self._terminal = OneLine(sys.stderr)
            sys.stderr = self._terminal  # so that no message is appended to the line
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal is not None and self._before is not None:
            self._terminal.show("")
            sys.stderr, self._terminal = self._before, None


class OneLine:
    """A terminal whose last line is overwritten; all other output appears above it.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._writes_over = os.environ.get("TERM", "") != "dumb"
        self._shown = 0
        self._within_a_line = False
        self._lock = threading.RLock()

    def show(self, text: str) -> None:
        """Overwrite the line with as much of the text as fits; "" clears it."""
        if not self._writes_over:
            return
        with self._lock:
            if self._within_a_line:
                return  # somebody's text would be lost
            self._clear()
            text = text[: self._room()]
            self._stream.write(text)
            self._stream.flush()
            self._shown = len(text)

    def write(self, text: str) -> int:
        with self._lock:
            if text:
                self._clear()
                self._within_a_line = not text.endswith("\n")
            return self._stream.write(text)

    def _clear(self) -> None:
        if self._shown:
            typed = len("^C")  # what the terminal itself shows of a key
            self._stream.write("\r" + " " * min(self._shown + typed, self._room()) + "\r")
            self._shown = 0

    def _room(self) -> int:
        """Return the usable columns; at the last column some terminals start a new line."""
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except OSError:
            columns = 0
        return (columns or USUAL_COLUMNS) - 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
