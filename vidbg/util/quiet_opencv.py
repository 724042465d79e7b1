"""OpenCV without its messages on the terminal, because vidbg reports errors itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_users = 0
_usual_level = 0


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Silence OpenCV in every thread until the last caller has left."""
    import cv2

    global _users, _usual_level
    with _lock:
        if _users == 0:
            _usual_level = cv2.utils.logging.getLogLevel()
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                cv2.utils.logging.setLogLevel(_usual_level)
