"""Trials of a device in a separate process, because a library may crash or hang.

    python -m vidbg.matting.backends.trial report DEVICE
    python -m vidbg.matting.backends.trial openvino TARGET PRECISION

print one JSON object: a BackendReport, or {"error": ...}, null if there was no error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from vidbg.errors import BackendError

PATIENCE_S = 120.0
"""Longer than any machine needs to import a library and to load and compile for a device."""


def try_apart(*arguments: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """Run this module in another process and return the JSON object that it prints.

    Raises:
        BackendError: the process crashed or hung.
    """
    command = [sys.executable, "-m", __name__, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=patience_s, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise BackendError(f"a trial gave no answer within {patience_s:g} s") from None
    try:
        found: dict[str, Any] = json.loads(done.stdout.decode().splitlines()[-1])
    except (IndexError, ValueError):
        raise BackendError(f"a trial crashed ({_end(done)})") from None
    return found


def _end(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        return signal.Signals(-done.returncode).name
    words = done.stderr.decode(errors="replace").strip().splitlines()
    return words[-1] if words else f"exit code {done.returncode}"


def _main(kind: str, *arguments: str) -> None:
    from vidbg.matting import backends
    from vidbg.matting.backends import openvino

    if kind == "report":
        print(json.dumps(asdict(backends.measure(*arguments))))  # noqa: T201  (for the parent)
        return
    error = None
    try:
        openvino.try_here(*arguments)
    except BackendError as refusal:
        error = str(refusal)
    print(json.dumps({"error": error}))  # noqa: T201


if __name__ == "__main__":
    _main(*sys.argv[1:])
