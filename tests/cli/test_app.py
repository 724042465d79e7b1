"""`vidbg app` in separate processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")

from vidbg.cli import app_command
from vidbg.cli.ctl.run_client import of_page
from vidbg.cli.settings import default_file

BROWSER = """#!/bin/sh
echo "$1" >> "{}"
"""

Start = Callable[..., tuple[subprocess.Popen[str], list[str]]]


@pytest.fixture
def opened(tmp_path: Path) -> Path:
    """Make a script the default browser; the path lists what it was told to open, a line each."""
    script = tmp_path / "browser"
    script.write_text(BROWSER.format(tmp_path / "opened"))
    script.chmod(0o755)
    return tmp_path / "opened"


@pytest.fixture
def start(opened: Path) -> Iterator[Start]:
    """Start `vidbg app` and wait for a line with this beginning; return all lines before it."""
    running: list[subprocess.Popen[str]] = []

    def call(until: str, *arguments: str) -> tuple[subprocess.Popen[str], list[str]]:
        environment = os.environ | {"BROWSER": f"{opened.parent / 'browser'} %s"}
        process = subprocess.Popen(
            [sys.executable, "-m", "vidbg", "app", "--size", "320x240", *arguments],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # without a terminal, where SIGHUP reads the settings again
        )
        running.append(process)
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line.rstrip())
            if line.startswith(until):
                break
        threading.Thread(target=list, args=(process.stderr,), daemon=True).start()
        return process, lines

    yield call
    for process in running:
        process.terminate()
        process.wait(20)


def value(lines: list[str], name: str) -> str:
    return next(line.partition(": ")[2] for line in lines if line.startswith(f"{name}: "))


@pytest.mark.skipif(sys.platform == "win32", reason="the browser is a shell script")
def test_the_page_opens_and_a_second_start_opens_the_same(start: Start, opened: Path) -> None:
    process, lines = start("network: ", "-c", "synthetic", "-b", "green", "--frames", "100000")
    page = of_page(value(lines, "panel"))
    assert any(line.startswith("no virtual camera, so only the page") for line in lines)
    assert opened.read_text() == f"{page.address}/\n"  # no token in the list of processes
    second, lines = start("vidbg is running already", "-c", "synthetic")
    assert second.wait(20) == 0
    assert value(lines, f"vidbg is running already (process {process.pid})") == page.page
    assert opened.read_text() == f"{page.address}/\n" * 2
    default_file().parent.mkdir(parents=True)
    default_file().write_text("mirror = true\n")
    process.send_signal(signal.SIGHUP)
    while not page.ask("GET", "/settings")["mirror"]:
        time.sleep(0.05)
    assert page.ask("GET", "/settings")["background"] == "colour:#00b140"
    page.ask("POST", "/quit")
    assert process.wait(20) == 0


def test_it_starts_without_a_camera_and_says_what_is_missing(start: Start) -> None:
    _, lines = start("network: ", "-c", "97", "--no-browser", "--panel", "0", "-o", "none")
    page = of_page(value(lines, "panel"))
    status: Any = None
    while status is None:  # until the first frame
        status = page.ask("GET", "/state")["status"]
    assert "camera" in status["reason"]
    page.ask("POST", "/quit")


def test_a_port_in_use_is_skipped() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not app_command.is_free(port)
    assert app_command.is_free(port)
