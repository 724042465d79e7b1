"""SIGHUP reloads the settings during `vidbg run`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from vidbg.cli.ctl.run_client import of_page

WIDTH, HEIGHT = 64, 48
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")


def corners(out: IO[bytes], frames: int) -> list[tuple[int, ...]]:
    """Return the upper left pixel of each of the next frames, BGR."""
    size = WIDTH * HEIGHT * 3
    return [tuple(out.read(size)[:3]) for _ in range(frames)]


def test_sighup_changes_the_background_and_names_what_needs_a_restart(tmp_path: Path) -> None:
    file, log = tmp_path / "config.toml", tmp_path / "v.log"
    file.write_text('background = "#0000ff"\nsize = "64x48"\n')
    command = [sys.executable, "-m", "vidbg", "run", "--config", str(file), "-c", "synthetic"]
    command += ["-o", "-", "--pipe-format", "bgr24", "--log-file", str(log), "--panel", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        out: IO[bytes] = process.stdout  # type: ignore[assignment]  # a pipe
        told_first: IO[bytes] = process.stderr  # type: ignore[assignment]
        page = next(line for line in told_first if line.startswith(b"panel: ")).split()[1].decode()
        assert (255, 0, 0) in corners(out, 5)
        for text, colour in (
            ('background = "#ff0000"\nsize = "128x96"\nlog-level = "debug"\n', (0, 0, 255)),
            ("background = 7\n", (0, 0, 255)),
            ('background = "missing.png"\n', (0, 0, 255)),
            ('background = "blur:0"\n', (0, 0, 255)),
            ('background = "#00ff00"\nmirror = true\n', (0, 255, 0)),
            ('background = "none"\n', None),
        ):
            file.write_text(text)
            process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 10
            if colour is None:
                while "YOUR REAL ROOM IS ON AIR" not in log.read_text():
                    corners(out, 1)
                    assert time.monotonic() < deadline
                continue
            while corners(out, 1)[0] != colour:
                assert time.monotonic() < deadline
            corners(out, 15)
            assert corners(out, 1)[0] == colour
        file.write_text('background = "missing.png"\n')
        process.send_signal(signal.SIGHUP)
        while "the background is none (as before, because the new" not in log.read_text():
            corners(out, 1)
            assert time.monotonic() < deadline + 10
        # What is hidden on the page stays so, unless the file says anew that it be shown
        client = of_page(page)
        client.ask("PATCH", "/settings", {"background": "#102030"})
        file.write_text('background = "none"\nmirror = false\n')
        process.send_signal(signal.SIGHUP)
        while "the room stays hidden" not in log.read_text():
            corners(out, 1)
            assert time.monotonic() < deadline + 20
        corners(out, 15)
        assert set(corners(out, 5)) == {(48, 32, 16)}
        process.terminate()
        out.read()
        assert process.wait(20) == 143
    told = log.read_text()
    assert "settings reloaded: background, size" in told
    assert "settings that need a restart: log_level" in told
    assert "the settings are not reloaded" in told
    assert "missing.png' does not exist" in told
    assert "blur strength '0' cannot be used" in told
    assert "settings reloaded: background, mirror" in told
