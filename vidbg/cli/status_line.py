"""What `vidbg run` says at the terminal while it runs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from vidbg.pipeline.live import LiveStatus

REPORT_INTERVAL_S = 2.0


class StatusLine:
    """Says at the terminal how it goes."""

    def __init__(self) -> None:
        self._told_s = time.monotonic()
        self._state = ""
        self._open_line = False

    def tell(self, status: LiveStatus) -> None:
        """Changes of state at once, on a line each; the frame rate every two seconds."""
        if not sys.stderr.isatty():
            return
        state = status.state.value + (f": {status.reason}" if status.reason else "")
        if state != self._state:
            self._end_line()
            typer.echo(state, err=True)
            self._state = state
        elif status.reason is None and time.monotonic() - self._told_s >= REPORT_INTERVAL_S:
            latency = f", {status.latency_ms:.0f} ms" if status.latency_ms else ""
            eased = f", network eased: {status.eased}" if status.eased else ""
            cpu = f", {status.cpu_percent:.0f} % of a core"
            typer.echo(f"\r{status.fps:5.1f} FPS{latency}{cpu}{eased} ", err=True, nl=False)
            self._told_s, self._open_line = time.monotonic(), True

    def _end_line(self) -> None:
        if self._open_line:
            typer.echo(err=True)
            self._open_line = False

    def __enter__(self) -> StatusLine:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_line()
