"""`vidbg run` left alone: its log, its end by a signal, and the files that start it."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest
import typer

from vidbg.cli import logs
from vidbg.cli.logs import log_to
from vidbg.errors import ConfigError, SinkError

RUN = [sys.executable, "-m", "vidbg", "run", "-c", "synthetic", "--size", "64x48", "-b", "none"]


# --- the log --------------------------------------------------------------------------------------


def test_the_log_is_turned_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 500)
    file = tmp_path / "state" / "v.log"
    with log_to(file, "info"):
        for index in range(100):
            logging.getLogger("vidbg.test").info("line %d", index)
            logging.getLogger("vidbg.test").debug("too fine")
    kept = sorted(path.name for path in file.parent.iterdir())
    assert kept == ["v.log", "v.log.1", "v.log.2", "v.log.3", "v.log.4"]
    assert file.read_text().endswith("INFO vidbg.test: line 99\n")
    assert all(path.stat().st_size <= 500 for path in file.parent.iterdir())


@pytest.mark.parametrize(
    ("error", "line", "trace"),
    [
        (SinkError("disk full"), "ERROR vidbg.cli.logs: failed: disk full", False),
        (KeyboardInterrupt(), "INFO vidbg.cli.logs: ended by Ctrl-C (SIGINT)", False),
        (SystemExit(143), "INFO vidbg.cli.logs: ended from outside, exit code 143", False),
        (ZeroDivisionError("odd"), "ERROR vidbg.cli.logs: failed: odd", True),
    ],
)
def test_the_log_tells_how_it_ended(
    error: BaseException, line: str, trace: bool, tmp_path: Path
) -> None:
    before = logging.getLogger("vidbg").handlers[:]
    with pytest.raises(type(error)), log_to(tmp_path / "v.log", "info"):
        raise error
    text = (tmp_path / "v.log").read_text()
    assert line in text
    assert ("Traceback" in text) is trace
    assert logging.getLogger("vidbg").handlers == before


def test_logs_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"), log_to(tmp_path, "info"):
        pass
    with pytest.raises(typer.BadParameter, match="allowed are"), log_to(None, "loud"):
        pass


# --- ends by a signal -----------------------------------------------------------------------------


def heed_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("reads", [True, False], ids=["read", "not read"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_run(number: signal.Signals, code: int, reads: bool, tmp_path: Path) -> None:
    """Also where the reader of the pipe has stopped reading: within ten seconds, without a word."""
    log = tmp_path / "v.log"
    command = [*RUN, "-o", "-", "--log-file", str(log)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_signals
    ) as process:
        out: IO[bytes] = process.stdout  # type: ignore[assignment]  # a pipe
        out.read(20_000)
        time.sleep(0 if reads else 1.5)  # enough for the pipe to be full
        process.send_signal(number)
        if reads:
            _, err = process.communicate(timeout=20)
        else:
            process.wait(timeout=20)
            err = process.stderr.read() if process.stderr else b""
    assert (process.returncode, err) == (code, b"")
    lines = log.read_text().splitlines()
    assert "camera synthetic on none, output -" in lines[0]
    assert "ended" in lines[-1]
