"""Short-lived threads of a stage, with an owner that stops and joins them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


class BackgroundTasks:
    """Starts threads, and waits for them when it is closed.

    Attributes:
        ending: set when the owner closes; work with several steps checks it between them.
    """

    def __init__(self) -> None:
        self.ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.RLock()  # a signal's handler may start a thread while one starts

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run work in a new thread. Does nothing once the owner has closed."""
        thread = threading.Thread(target=work, name=f"vidbg-{name}", daemon=True)
        with self._lock:
            if self.ending.is_set():
                return
            self._threads = [each for each in self._threads if each.is_alive()]
            thread.start()
            self._threads.append(thread)

    @property
    def running(self) -> int:
        """How many threads work at the moment."""
        return sum(thread.is_alive() for thread in self._threads)

    def wait(self, patience_s: float) -> bool:
        """Wait for the work that is running, and return whether all of it has ended."""
        deadline = time.monotonic() + patience_s
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))
        return not self.running

    def close(self, patience_s: float) -> bool:
        """Refuse new work, wait for running work, and return whether all of it has ended."""
        with self._lock:
            self.ending.set()
        if self.wait(patience_s):
            return True
        for thread in self._threads:
            if thread.is_alive():
                logger.info("%s is left behind", thread.name)
        return False
