"""The output of `vidbg run` as a terminal shows it."""

from __future__ import annotations

import io
import logging
import os
import sys
import time
from dataclasses import replace

import pytest
import typer

from vidbg.cli.status_line import REPORT_INTERVAL_S, StatusLine
from vidbg.pipeline.live import LiveStatus, State
from vidbg.pipeline.live.status import EASED

GOOD = LiveStatus(State.LIVE, None, 29.97, 120.0, 21.0, None)


class Terminal(io.StringIO):
    """Shows what is written to it, as rows of so many columns."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def rows(self) -> list[str]:
        rows, x = [""], 0
        for character in self.getvalue():
            if character == "\n":
                rows.append("")
                x = 0
            elif character == "\r":
                x = 0
            else:
                if x == self.columns:
                    rows.append("")
                    x = 0
                rows[-1] = rows[-1][:x].ljust(x) + character + rows[-1][x + 1 :]
                x += 1
        return [row.rstrip() for row in rows]


class Desk:
    """A status line on such a terminal, and a clock to set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, columns: int = 80) -> None:
        self.terminal, self.now = Terminal(columns), 0.0
        size = os.terminal_size((columns, 24))
        monkeypatch.setattr(os, "get_terminal_size", lambda *_: size)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(sys, "stderr", self.terminal)
        self.line = StatusLine()

    def tell(self, *statuses: LiveStatus) -> list[str]:
        for status in statuses:
            self.now += REPORT_INTERVAL_S
            self.line.tell(status)
        return self.terminal.rows()


def test_a_shorter_text_erases_a_longer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch)
    with desk.line:
        desk.tell(GOOD, replace(GOOD, reduced=EASED, fps=111.1, latency_ms=1234.0))
        rows = desk.tell(GOOD, replace(GOOD, latency_ms=None))
        assert rows == ["live", *_wrapped(EASED, 80), " 30.0 FPS, 120 % of a core"]
    assert desk.terminal.rows()[-1] == ""


def _wrapped(text: str, columns: int) -> list[str]:
    return [text[at : at + columns].rstrip() for at in range(0, len(text), columns)]


@pytest.mark.parametrize("columns", [1, 2, 10, 20, 33])
def test_a_narrow_terminal_shows_what_fits_on_one_row(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(monkeypatch, columns)
    with desk.line:
        rows = desk.tell(*[GOOD] * 9)
    assert rows[-1] == " 30.0 FPS, 21 ms, 120 % of a core"[: columns - 1].rstrip()
    assert rows[:-1] == _wrapped("live", columns)


def test_no_message_is_glued_to_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch)
    handler = logging.StreamHandler()
    with desk.line:
        desk.tell(GOOD, GOOD)
        typer.echo("camera 0: 1280x720", err=True)
        desk.tell(GOOD)
        sys.stderr.write("a warning of some library\n")
        handler.setStream(sys.stderr)
        desk.tell(GOOD)
        handler.emit(
            logging.LogRecord("vidbg", logging.WARNING, "", 0, "vidbg: a fault", None, None)
        )
        rows = desk.tell(GOOD)
    assert rows == [
        "live",
        "camera 0: 1280x720",
        "a warning of some library",
        "vidbg: a fault",
        " 30.0 FPS, 21 ms, 120 % of a core",
    ]
    assert sys.stderr is desk.terminal


def test_a_dumb_terminal_gets_complete_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    desk = Desk(monkeypatch)
    failed = replace(GOOD, state=State.DEGRADED, reason="camera: the cable is out")
    with desk.line:
        desk.tell(GOOD, GOOD, GOOD, failed, failed, GOOD)
    assert "\r" not in desk.terminal.getvalue()
    assert desk.terminal.getvalue().splitlines() == [
        "live",
        "viewers do not see you: camera: the cable is out",
        "live",
    ]


def test_a_reduced_network_is_mentioned_once_in_plain_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once for a while in which the network is eased now and then."""
    desk = Desk(monkeypatch, 200)
    reduced = replace(GOOD, reduced=EASED)
    with desk.line:
        rows = desk.tell(reduced, GOOD, reduced, GOOD, reduced)
    assert rows == ["live", EASED, " 30.0 FPS, 21 ms, 120 % of a core, less exact edge"]


def test_what_is_no_terminal_gets_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch)
    monkeypatch.setattr(desk.terminal, "isatty", lambda: False)
    with desk.line:
        desk.tell(GOOD, GOOD)
    assert desk.terminal.getvalue() == ""
