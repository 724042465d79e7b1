"""How much memory the C library keeps for itself."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from vidbg.errors import VidbgError

_M_ARENA_MAX = -8
_ARENAS = 2

MIN_ADDRESSES = 1_000_000_000
"""Bytes of addresses below which native libraries crash or fail while they load. A live run of the
synthetic camera at 320x180 needs 1,050 MB."""


@cache
def _c_library() -> Any:
    """Return the C library if it may be glibc, else None."""
    if sys.platform != "linux":
        return None
    import ctypes  # not for `vidbg --help`

    return ctypes.CDLL(None)


def limit_arenas() -> bool:
    """Let all threads take memory from two pools, where glibc would make one for each of them.

    What threads free stays in their pools. A live run has some 15 threads, and needs 20 to 36 MB
    less with two. Call it before threads are started.

    Returns:
        Whether the C library was told: only glibc has the setting.
    """
    mallopt = getattr(_c_library(), "mallopt", None)  # musl has none
    return mallopt is not None and mallopt(_M_ARENA_MAX, _ARENAS) == 1


def return_freed_memory() -> None:
    """Return what was freed to the system, which glibc would keep for later.

    For after work that needs much memory once, such as compiling a network.
    """
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)


def require_addresses() -> None:
    """Refuse a limit of virtual memory under which native libraries would crash.

    Raises:
        VidbgError: there is one, as `ulimit -v` sets it.
    """
    if sys.platform != "linux":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < MIN_ADDRESSES:
        raise VidbgError(
            f"this program may use {limit / 1e6:.0f} MB of virtual memory (ulimit -v), and its "
            f"libraries need more than {MIN_ADDRESSES / 1e6:,.0f} MB: raise the limit, or remove "
            "it with `ulimit -v unlimited`"
        )
