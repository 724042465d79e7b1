"""A run of `vidbg` in another process, for the tests of what controls it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

Cli = Callable[..., tuple[int, str, str]]
"""Calls the command line with arguments: exit code, output, errors."""


@dataclass
class Run:
    """A run whose camera is synthetic and whose page is at a free port.

    Attributes:
        environment: its variables, for other processes of the same account.
        url: of its page, with the token.
        backgrounds: folder of `red wall.png` and `blue.png`.
    """

    process: subprocess.Popen[str]
    environment: dict[str, str]
    url: str
    backgrounds: Path

    @property
    def address(self) -> str:
        return self.url.partition("/?")[0]


@contextmanager
def running(home: Path) -> Iterator[Run]:
    """Start a run whose settings and state are in a folder, and end it."""
    folder = home / "backgrounds"
    folder.mkdir()
    for name, colour in (("red wall.png", (20, 20, 200)), ("blue.png", (200, 20, 20))):
        cv2.imwrite(str(folder / name), np.full((90, 160, 3), colour, np.uint8))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VIDBG_")}
    environment.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # compiled networks
    environment |= {f"XDG_{kind}_HOME": str(home / kind) for kind in ("STATE", "CONFIG", "DATA")}
    environment["HOME"] = str(home)
    command = [sys.executable, "-m", "vidbg", "run", "-c", "synthetic", "-o", "none"]
    command += ["--size", "320x240", "-b", "green", "--panel", "0", "--backgrounds", str(folder)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        url = next(line.partition(": ")[2].strip() for line in lines if line.startswith("panel: "))
        threading.Thread(target=list, args=(lines,), daemon=True).start()
        yield Run(process, environment, url, folder)
        process.terminate()
        process.wait(20)
