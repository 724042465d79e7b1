"""Ctrl-C and SIGHUP while the program starts, at each of its imports."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, signal, sys

class Signal:
    def find_spec(self, name, *_):
        if name == MODULE:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), NUMBER)

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
sys.meta_path.insert(0, Signal())
sys.argv = ["vidbg", *ARGUMENTS]
from vidbg.cli.start import main
main()
"""

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")


def started(module: str, number: int, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Signal the program when it is about to import a module; return how it ended."""
    names = f"MODULE, NUMBER, ARGUMENTS = {module!r}, {int(number)}, {list(arguments)!r}"
    return subprocess.run(
        [sys.executable, "-c", names + PROGRAM],
        capture_output=True,
        timeout=60,
        start_new_session=True,
        check=False,
    )


@pytest.mark.parametrize(
    "module", ["typer", "vidbg.cli.run", "vidbg.pipeline.live", "numpy", "openvino"]
)
def test_ctrl_c_ends_the_start_without_a_word(module: str) -> None:
    arguments = ("run", "-c", "synthetic", "-o", "-", "--size", "64x48", "-b", "green")
    ended = started(module, signal.SIGINT, *arguments)
    assert ended.returncode == 130
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize("module", ["vidbg.cli.start", "signal", "typing"])
def test_ctrl_c_ends_python_m_vidbg_without_a_word(module: str) -> None:
    """Before the program's own handlers stand, too."""
    names = f"MODULE, NUMBER, ARGUMENTS = {module!r}, {int(signal.SIGINT)}, ['--version']"
    head = PROGRAM.partition("from vidbg")[0]
    run = "import runpy\nrunpy.run_module('vidbg', run_name='__main__', alter_sys=True)"
    program = f"{names}\n{head}for name in ('signal', MODULE): sys.modules.pop(name, None)\n{run}"
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


@pytest.mark.parametrize("module", ["typer", "vidbg.pipeline.live"])
def test_sighup_at_the_start_of_a_run_reads_the_settings(module: str, tmp_path: Path) -> None:
    log = tmp_path / "vidbg.log"
    arguments = ("run", "-c", "synthetic", "-o", "-", "--size", "64x48", "-b", "green")
    ended = started(module, signal.SIGHUP, *arguments, "--frames", "20", "--log-file", str(log))
    assert b"20 frames" in ended.stderr
    assert "settings reloaded: nothing new" in log.read_text()


def test_sighup_ends_other_commands() -> None:
    ended = started(
        "vidbg.pipeline.files.jobs", signal.SIGHUP, "process", "missing.mp4", "-b", "green"
    )
    assert ended.returncode == 129
