"""Information about NVIDIA GPUs that needs no heavy library."""

from __future__ import annotations

import csv
import ctypes
import subprocess
import sys
from dataclasses import dataclass

PATIENCE_S = 10.0
"""Seconds to wait for nvidia-smi, which wakes every GPU."""


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """A GPU as nvidia-smi lists it, by the order on the bus."""

    number: int
    name: str
    memory: str


def has_driver() -> bool:
    """Return whether NVIDIA's driver is installed; there may still be no GPU."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def list_gpus() -> list[GpuInfo]:
    """List the GPUs that the driver's nvidia-smi reports; empty if it fails."""
    query = ["nvidia-smi", "--query-gpu=index,name,memory.total", "--format=csv,noheader"]
    try:
        result = subprocess.run(
            query, capture_output=True, text=True, timeout=PATIENCE_S, check=True
        )
        rows = csv.reader(result.stdout.splitlines(), skipinitialspace=True)
        return [GpuInfo(int(number), name, memory) for number, name, memory in rows]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
