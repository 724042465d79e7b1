"""The processor's name and features."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from pathlib import Path

from vidbg.platform.system_files import content

FEATURES = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
"""Features that decide how fast a network runs, by Linux's names."""


_CPUINFO = Path("/proc/cpuinfo")  # Linux's


@cache
def processor_name() -> str:
    """Return the processor's model, or its architecture if the system does not report it."""
    name = read_cpuinfo(content(_CPUINFO))[0]
    return name or platform.processor() or platform.machine()


@cache
def processor_features() -> tuple[str, ...] | None:
    """Return which of FEATURES the processor has; None if the system does not report it."""
    return read_cpuinfo(content(_CPUINFO))[1]


def usable_cores() -> int:
    """Return the number of logical cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_one_opencv_thread() -> None:
    """Let OpenCV work in the thread that calls it, for the whole process.

    The stages of a run already share the cores, and its steps are short: at 720p a second thread
    wakes and waits for some 0.15 ms of CPU time each, 0.7 ms a frame in all.
    """
    import cv2  # not for `vidbg --help`

    cv2.setNumThreads(1)


def read_cpuinfo(text: str) -> tuple[str, tuple[str, ...] | None]:
    """Return model name and known features of the first processor in a /proc/cpuinfo."""
    first = text.split("\n\n")[0].splitlines()
    fields = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in first)}
    flags = fields.get("flags")
    known = None if flags is None else tuple(f for f in FEATURES if f in flags.split())
    return fields.get("model name", ""), known
