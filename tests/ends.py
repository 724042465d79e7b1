"""Ends the program at many moments after its start, beside a load, and counts how it ends.

    PYTHONPATH=tests python -m ends --count 200

By SIGTERM, Ctrl-C or itself (`--frames`), in `vidbg run`, `process` and `bench` and in Python. A
crash (SIGSEGV, SIGABRT and the like) or a hang makes the exit code 1.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CLIP = """
import sys
from fractions import Fraction
from vidbg.sinks.files.video_file_sink import VideoFileSink
from vidbg.sources.synthetic import SyntheticSource
with SyntheticSource(640, 360, Fraction(30), 900) as source:
    with VideoFileSink(sys.argv[1], source.info) as sink:
        for frame in source:
            sink.write(frame)
"""

IN_PYTHON = """
import contextlib, itertools, sys, threading, numpy
from vidbg import VideoMatting
from vidbg.errors import VidbgError
picture = numpy.random.default_rng(0).integers(0, 255, (360, 640, 3), numpy.uint8)
def compute():
    with contextlib.suppress(VidbgError), VideoMatting() as matter:  # refused at the end
        for index in itertools.count():
            matter(picture[index % 30 : 200 + index % 100])
threading.Thread(target=compute, daemon=True).start()
threading.Event().wait(float(sys.argv[1]))
"""

PATIENCE_S = 60
CRASHES = {f"SIG{name}" for name in ("SEGV", "ABRT", "BUS", "ILL", "FPE")}


@dataclass(frozen=True)
class Case:
    """A command, and how it is ended: by a signal after some time, or by itself."""

    name: str
    command: Sequence[str]
    number: signal.Signals | None


def cases(folder: Path) -> list[Case]:
    vidbg = [sys.executable, "-m", "vidbg"]
    run = [*vidbg, "run", "--camera", "synthetic", "-o", "none", "--panel", "0"]
    piped = [*vidbg, "run", "--camera", "synthetic", "--size", "640x360", "-o", "-"]
    clip = folder / "clip.mp4"
    subprocess.run([sys.executable, "-c", CLIP, str(clip)], check=True)
    process = [*vidbg, "process", str(clip), "-y", "-b", "green"]
    bench = [*vidbg, "bench", "--frames", "200", "--size", "640x360"]
    term, interrupt = signal.SIGTERM, signal.SIGINT
    return [
        Case("run, SIGTERM", piped, term),
        Case("run, Ctrl-C", run, interrupt),
        Case("run, --frames", [*piped, "--fps", "5", "--frames", "{frames}"], None),
        Case("run, SIGTERM", piped, term),
        Case("process, SIGTERM", process, term),
        Case("process, Ctrl-C", process, interrupt),
        Case("run, Ctrl-C", piped, interrupt),
        Case("bench, SIGTERM", bench, term),
        Case("bench live, Ctrl-C", [*bench, "--live-fps", "30"], interrupt),
        Case("Python, its end", [sys.executable, "-c", IN_PYTHON, "{seconds}"], None),
    ]


def end(case: Case, after_s: float, folder: Path) -> str:
    """Run it and end it; its exit code, or the signal's name, or "hangs"."""
    words = {"frames": str(1 + round(2 * after_s)), "seconds": f"{after_s:.2f}"}
    command = [part.format(**words) if part.startswith("{") else part for part in case.command]
    if "process" in command:
        command += ["-o", str(folder / f"{time.monotonic_ns()}.mp4")]
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}  # tells where each thread was
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
        ) as process,
    ):
        if case.number is not None:
            time.sleep(after_s)
            process.send_signal(case.number)
        hangs = _hangs(process)
        code = process.returncode
        outcome = str(code) if code >= 0 else signal.Signals(-code).name
        if hangs or outcome in CRASHES:
            errors.seek(0)
            said = errors.read().decode(errors="replace")
            print(f"{case.name} after {after_s:.2f} s: {outcome}: {said[-6000:]}", flush=True)
        return "hangs" if hangs else outcome


def _hangs(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the end; a process that hangs is aborted."""
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        process.wait()
        return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=3, help="each is the others' load")
    parser.add_argument("--most-s", type=float, default=10.0)
    options = parser.parse_args()
    # A shell starts programs in the background with Ctrl-C ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    codes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(options.at_once) as pool:
        folder = Path(name)
        chosen = cases(folder)
        moments = [0.3 + options.most_s * i / options.count for i in range(options.count)]
        each = [(chosen[i % len(chosen)], moment) for i, moment in enumerate(moments)]
        ends = pool.map(lambda one: end(one[0], one[1], folder), each)
        for (case, _), outcome in zip(each, ends, strict=True):
            codes[case.name][outcome] += 1
    for case_name, counts in codes.items():
        print(f"{case_name}: {dict(counts)}")
    bad = sum(counts[code] for counts in codes.values() for code in CRASHES)
    hung = sum(counts["hangs"] for counts in codes.values())
    print(f"{len(each)} ends, {bad} crashes, {hung} hangs, load {os.getloadavg()[0]:.0f}")
    return bool(bad or hung)


if __name__ == "__main__":
    sys.exit(main())
