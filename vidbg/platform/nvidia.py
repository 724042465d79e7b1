"""What can be known of NVIDIA's GPUs without a heavy library."""

from __future__ import annotations

import csv
import ctypes
import subprocess
import sys
from dataclasses import dataclass

PATIENCE_S = 10.0
"""For nvidia-smi, which wakes every GPU."""


@dataclass(frozen=True, slots=True)
class GpuInfo:
    """A GPU as nvidia-smi lists it, by the order on the bus."""

    number: int
    name: str
    memory: str


def has_driver() -> bool:
    """Whether NVIDIA's driver is installed; a GPU may be missing all the same."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def list_gpus() -> list[GpuInfo]:
    """The GPUs that nvidia-smi, which comes with the driver, tells of; none where it fails."""
    query = ["nvidia-smi", "--query-gpu=index,name,memory.total", "--format=csv,noheader"]
    try:
        result = subprocess.run(
            query, capture_output=True, text=True, timeout=PATIENCE_S, check=True
        )
        rows = csv.reader(result.stdout.splitlines(), skipinitialspace=True)
        return [GpuInfo(int(number), name, memory) for number, name, memory in rows]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
