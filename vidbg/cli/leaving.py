"""The end of the process, also where a thread cannot be ended."""

from __future__ import annotations

import logging
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

logger = logging.getLogger(__name__)


def leave(code: int) -> NoReturn:
    """Exit, everything having been closed.

    A daemon thread that is still inside a native library (a driver that hangs, a network that is
    being compiled) would crash the process while Python takes itself down, so that is left out.
    """
    left = [thread.name for thread in threading.enumerate() if _is_ours(thread)]
    if left:
        logger.debug("still running: %s", ", ".join(left))
        _end_at_once(code)
    sys.exit(code)


def _is_ours(thread: threading.Thread) -> bool:
    return thread.daemon and thread.name.startswith("vidbg")


def _end_at_once(code: int) -> NoReturn:
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or its reader has gone
            stream.flush()
    os._exit(code)
