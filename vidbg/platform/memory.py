"""How much memory the C library keeps for itself."""

from __future__ import annotations

import sys

_M_ARENA_MAX = -8
_ARENAS = 2


def limit_arenas() -> bool:
    """Let all threads take memory from two pools, where glibc would make one for each of them.

    What threads free stays in their pools. A live run has some 15 threads, and needs 20 to 36 MB
    less with two. Call it before threads are started.

    Returns:
        Whether the C library was told: only glibc has the setting.
    """
    if sys.platform != "linux":
        return False
    import ctypes  # not for `vidbg --help`

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and mallopt(_M_ARENA_MAX, _ARENAS) == 1
