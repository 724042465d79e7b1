"""Loads the modules and runs the checks: `python -m vm.guest.main VERSION [CHECK ...]`.

Each check leaves a line of JSON in the file findings; see vm.machine.Finding.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import cv2

from vm.guest.checks import CHECKS
from vm.guest.devices import camera, load_loopback, load_modules
from vm.guest.pictures import REFERENCE, SIZE
from vm.guest.programs import CheckFailed

OUT = Path("/run/out")


def main(version: str, *wanted: str) -> None:
    load_modules()
    take_reference()
    let_others_in(Path(sys.executable).resolve(), Path(__file__))
    checks = [
        (name, check.run)
        for name, check in CHECKS.items()
        if version in check.versions and name in (wanted or CHECKS)
    ]
    results = [report(name, run) for name, run in checks]
    (OUT / "kernel").write_text(subprocess.run(["dmesg"], capture_output=True, text=True).stdout)
    sys.exit(0 if all(results) else 1)


def report(name: str, run: Callable[[], str]) -> bool:
    folder = OUT / name
    folder.mkdir()
    os.chdir(folder)
    started = time.monotonic()
    try:
        load_loopback()
        ok, detail = True, run()
    except CheckFailed as seen:
        ok, detail = False, str(seen)
    except Exception:  # a mistake in one check leaves the others their turn
        ok, detail = False, traceback.format_exc()
    seconds = round(time.monotonic() - started, 1)
    print(f"{'ok' if ok else 'FAILED'} {name} ({seconds} s): {detail}", flush=True)  # noqa: T201
    finding = {"name": name, "ok": ok, "detail": detail, "seconds": seconds}
    with (OUT / "findings").open("a") as findings:
        findings.write(json.dumps(finding) + "\n")
    return ok


def take_reference() -> None:
    """Read vivid without vidbg, for comparison."""
    capture = cv2.VideoCapture(str(camera()), cv2.CAP_V4L2)
    for name, value in zip(
        (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT), SIZE, strict=True
    ):
        capture.set(name, value)
    given, image = capture.read()
    capture.release()
    if not given or image.shape[1::-1] != SIZE or not cv2.imwrite(str(REFERENCE), image):
        raise RuntimeError(f"vivid gives no picture of {SIZE[0]}x{SIZE[1]}")


def let_others_in(*files: Path) -> None:
    """Another user may run what is in a home folder that is closed to others, here in the guest."""
    for folder in {parent for file in files for parent in file.parents}:
        folder.chmod(folder.stat().st_mode | 0o055)


if __name__ == "__main__":
    main(*sys.argv[1:])
