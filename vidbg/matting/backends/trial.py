"""Trials of a device in a separate process, because a library may crash or hang."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

from vidbg.errors import BackendError

PROCESS = "vidbg.matting.backends.trial_process"
"""The module that the other process runs. It imports the backends, so they cannot import it."""

PATIENCE_S = 120.0
"""Longer than any machine needs to import a library and to load and compile for a device."""


def try_apart(*arguments: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """Run PROCESS with these arguments and return the JSON object that it prints.

    Raises:
        BackendError: the process crashed or hung.
    """
    command = [sys.executable, "-m", PROCESS, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=patience_s, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise BackendError(f"a trial gave no answer within {patience_s:g} s") from None
    try:
        result: dict[str, Any] = json.loads(done.stdout.decode().splitlines()[-1])
    except (IndexError, ValueError):
        if done.returncode < 0:
            end = signal.Signals(-done.returncode).name
        else:
            words = done.stderr.decode(errors="replace").strip().splitlines()
            end = words[-1] if words else f"exit code {done.returncode}"
        raise BackendError(f"a trial crashed ({end})") from None
    return result
