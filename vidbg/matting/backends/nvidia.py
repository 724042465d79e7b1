"""What can be known of NVIDIA's GPU without a heavy library."""

from __future__ import annotations

import ctypes
import sys


def has_driver() -> bool:
    """Whether NVIDIA's driver is installed; a GPU may be missing all the same."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
