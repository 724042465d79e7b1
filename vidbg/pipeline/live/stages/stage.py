"""A stage of the live pipeline in its own thread, which is replaced when it hangs."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from vidbg.errors import VidbgError
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.threads.replaceable_thread import Deadline, ReplaceableThread
from vidbg.util.mailbox import Abandoned, Mailbox

In = TypeVar("In")
Out = TypeVar("Out")

PATIENCE_S = 2.0
SLOWNESS = 20
"""A call hangs if it takes longer than PATIENCE_S and than SLOWNESS times the last call."""

FIRST_PATIENCE_S = 30.0
"""The first call compiles the network for its size, or reads a background."""

MAX_HANGING = 2


class StageWorker(ABC, Generic[In, Out]):
    """The worker of one stage thread, used by no other thread."""

    @abstractmethod
    def prepare(self) -> None:
        """Get ready before the first item.

        Raises:
            VidbgError: the run cannot continue.
        """

    @abstractmethod
    def __call__(self, item: In) -> Out | None:
        """Process an item; return None on failure or while waiting to recover."""

    @abstractmethod
    def close(self) -> None:
        """Free all resources."""


class Stage(ABC, Generic[In, Out]):
    """Processes the newest item in a thread, keeps running after failures, and passes results on.

    A subclass says what its worker is and where the results go.

    Args:
        name: of the stage in messages.
        context: of the run.
    """

    def __init__(self, name: str, context: RunContext) -> None:
        self.name, self._context = name, context
        self._inbox: Mailbox[In] = Mailbox(1, newest=True)
        self._deadline = Deadline()
        self._thread = ReplaceableThread(name, self._process_items, MAX_HANGING)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._idle = threading.Event()
        self._idle.set()

    @abstractmethod
    def make_worker(self, deadline: Deadline) -> StageWorker[In, Out]:
        """Return a worker for a new thread; it times every call that may hang by the deadline."""

    @abstractmethod
    def deliver(self, result: Out) -> None:
        """Pass a result on. Never called from an abandoned thread."""

    def hung(self) -> None:
        """Take note of a thread that hangs, before it is replaced."""

    def start(self) -> None:
        self._thread.start()

    def submit(self, item: In, waiting: int = 1) -> None:
        """Queue the next item.

        Args:
            waiting: how many may wait; the oldest beyond that are dropped.
        """
        self._idle.clear()
        self._inbox.capacity = waiting
        try:
            self._inbox.put(item)
        except Abandoned:
            return

    def _process_items(self, turn: int) -> None:
        """Process items until the end, or until this thread is replaced."""
        worker = self.make_worker(self._deadline)
        try:
            worker.prepare()
            for item in self._inbox:  # waits for the next one
                try:
                    result = worker(item)
                except Exception as error:  # a dead thread would leave viewers without output
                    self._context.faults.raised(self.name, error)
                    result = None
                # With the lock of `check`, so that what a replaced thread made late goes nowhere
                with self._lock:
                    if result is not None and self._thread.current(turn):
                        self.deliver(result)
                    if self._inbox.empty:
                        self._idle.set()
                if not self._thread.current(turn):
                    break
        except Abandoned:  # by stop()
            pass
        except VidbgError as error:  # the worker cannot get ready
            if self._thread.current(turn):
                self._context.fail(error)
        finally:
            worker.close()

    @property
    def dropped(self) -> int:
        """The number of items replaced by a newer one before they were processed."""
        return self._inbox.dropped

    @property
    def idle(self) -> bool:
        """Whether every item has been processed."""
        return self._idle.is_set()

    @property
    def busy_s(self) -> float:
        """How long the present item has taken so far, in seconds."""
        return self._deadline.running_s

    def check(self) -> None:
        """Replace a thread that hangs. Call this a few times a second."""
        taken_s = self._deadline.overdue_s()
        if taken_s is None or self._stopping.is_set():
            return
        self._context.faults.raised(self.name, f"hangs for {taken_s:.1f} s and is replaced")
        self.hung()
        with self._lock:
            self._deadline = Deadline()
            replaced = self._thread.replace()
        if not replaced:
            self._context.fail(
                VidbgError(f"the {self.name} hung {MAX_HANGING + 1} times: giving up")
            )

    def stop(self, patience_s: float) -> None:
        self._stopping.set()
        self._inbox.abandon()
        self._thread.end(patience_s)
