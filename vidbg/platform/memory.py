"""Limits of memory: what glibc keeps for itself, and what this process may address."""

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
    """Limit glibc to two memory pools for all threads, instead of one for each.

    Freed memory stays in its pool. A live run has about 15 threads, and needs 20 to 36 MB less
    with two pools. Call it before threads are started.

    Returns:
        Whether it worked: only glibc has the setting.
    """
    mallopt = getattr(_c_library(), "mallopt", None)  # musl has none
    return mallopt is not None and mallopt(_M_ARENA_MAX, _ARENAS) == 1


def return_freed_memory() -> None:
    """Return freed memory to the system, which glibc would keep for later.

    Call it after work that briefly needs much memory, such as compiling a network.
    """
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)


def require_addresses() -> None:
    """Refuse to run under a limit of virtual memory that crashes native libraries.

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
