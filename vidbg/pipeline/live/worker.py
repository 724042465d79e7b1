"""Turns the newest frame into a composited one, whatever fails on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vidbg.compositing import CompositingConfig, Compositor
from vidbg.compositing.scaling import fill
from vidbg.compositing.specs import PassthroughSpec
from vidbg.errors import BackendError, VidbgError
from vidbg.frame import Alpha, Frame
from vidbg.mailbox import Abandoned, Mailbox
from vidbg.matting.matter import Matter
from vidbg.pipeline.live.faults import Faults
from vidbg.pipeline.live.networks import Networks
from vidbg.pipeline.live.pacing import Backoff
from vidbg.pipeline.live.turns import Turns, Watch
from vidbg.sources import open_frames
from vidbg.timing import StageClock

LOAD_PATIENCE_S = 120.0
"""Building a TensorRT engine takes a minute on some machines."""

FIRST_PATIENCE_S = 30.0
"""The first frame compiles the network for its size."""

PATIENCE_S = 2.0
SLOWNESS = 20
"""A frame that takes longer than the first, and than so many of the last, hangs."""

MOST_HANGING = 2

WHOLE = 0.99
"""A matte that calls more of the picture a person shows the room."""

NETWORK, BACKGROUND, FRAME = "network", "background", "frame"


@dataclass(frozen=True, slots=True)
class Look:
    """How the output looks: what may change while a run goes on.

    Attributes:
        compositing: the background and how the person is laid over it.
        mirror: frames are mirrored before anything else, so that the background is not.
    """

    compositing: CompositingConfig
    mirror: bool = False


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame, and when the source gave it in monotonic seconds."""

    frame: Frame
    at_s: float


class Worker:
    """Mats and composites in a thread that is replaced when it hangs.

    Args:
        networks: where the network comes from; loaded at once.
        look: how; see change().
        width, height: of the output; frames of another size are fitted into it first, with bars
            that are background to the network.
        deliver: is given each composited frame with its arrival, never one of a background that
            has been changed since, never after a thread's turn is over.
        faults: is told what fails and when it works again.
        fail: ends the run with an error that no second try mends.
        clock: of the stages.
    """

    def __init__(
        self,
        networks: Networks,
        look: Look,
        width: int,
        height: int,
        deliver: Callable[[Arrived], None],
        faults: Faults,
        fail: Callable[[BaseException], None],
        clock: StageClock,
    ) -> None:
        self.networks, self.faults, self.clock = networks, faults, clock
        self.width, self.height = width, height
        self.look = look
        self.watch = Watch()
        self.stopping = threading.Event()
        self.ready = threading.Event()
        """Set once the network has been loaded and has run for the first time."""
        self._deliver, self._fail = deliver, fail
        self._inbox: Mailbox[Arrived] = Mailbox(1, newest=True)
        self._lock = threading.Lock()
        self._turns = Turns("worker", self._run, MOST_HANGING)
        self._idle = threading.Event()
        self._idle.set()

    @property
    def dropped(self) -> int:
        """Frames that a newer one replaced before their turn came."""
        return self._inbox.dropped

    @property
    def idle(self) -> bool:
        """Whether every frame given has been dealt with."""
        return self._idle.is_set()

    def start(self) -> None:
        self._turns.start()

    def feed(self, arrived: Arrived) -> None:
        """Take the source's next frame; one that still waits is dropped."""
        try:
            self._idle.clear()
            self._inbox.put(arrived)
        except Abandoned:
            return

    def change(self, look: Look, shown: Callable[[], None]) -> None:
        """Look so from now on; `shown` is called before any frame made so is given."""
        with self._lock:
            self.look = look
            shown()

    def check(self) -> None:
        """Replace a thread that hangs; to be called a few times a second."""
        taken_s = self.watch.overdue_s()
        if taken_s is None or self.stopping.is_set():
            return
        self.watch.end()
        self.faults.raised(self.watch.part, f"hangs for {taken_s:.1f} s and is replaced")
        if self.watch.part == NETWORK:
            self.networks.blame()
        with self._lock:
            replaced = self._turns.replace()
        if not replaced:
            part = self.watch.part
            self._fail(BackendError(f"the {part} hung {MOST_HANGING + 1} times and is given up"))

    def stop(self, patience_s: float) -> None:
        self.stopping.set()
        self._inbox.abandon()
        self._turns.end(patience_s)

    def _run(self, turn: int) -> None:
        bench = _Bench(self)
        try:
            bench.warm_up()
            for arrived in self._inbox:
                composed = self._compose(bench, arrived.frame)
                self._hand_on(turn, bench, arrived, composed)
                if not self._turns.current(turn):
                    break
        except Abandoned:
            pass
        except VidbgError as error:  # the very first loading: there is nothing to go back to
            if self._turns.current(turn):
                self._fail(error)
        finally:
            bench.close()

    def _compose(self, bench: _Bench, frame: Frame) -> Frame | None:
        try:
            return bench.compose(frame)
        except Exception as error:  # a thread that dies would leave viewers with nothing
            self.faults.raised(FRAME, error)
            return None

    def _hand_on(self, turn: int, bench: _Bench, arrived: Arrived, composed: Frame | None) -> None:
        with self._lock:
            if composed is not None and self._turns.current(turn) and bench.current:
                self._deliver(replace(arrived, frame=composed))
            if self._inbox.empty:
                self._idle.set()


class _Bench:
    """The tools of one thread, which no other touches: a thread left behind keeps its own."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._matter: Matter | None = None
        self._compositor: Compositor | None = None
        self._made_for: Look | None = None
        self._failures = 0
        self._retry_s = 0.0
        self._backoff = Backoff(0.1, 5.0)
        self._allowed_s = FIRST_PATIENCE_S

    @property
    def current(self) -> bool:
        """Whether the last frame was composited as is wanted now."""
        return self._made_for is self._worker.look

    def warm_up(self) -> None:
        """Load and compile before the first frame comes.

        Raises:
            VidbgError: the network never ran and cannot be loaded.
        """
        worker = self._worker
        if isinstance(worker.look.compositing.background, PassthroughSpec):
            return
        try:
            matter = self._require_matter()
            worker.watch.begin(self._allowed_s, NETWORK)
            matter(np.zeros((worker.height, worker.width, 3), np.uint8), 0.0)
            matter.reset()
            worker.ready.set()
        except Exception as error:
            if not worker.ready.is_set() and isinstance(error, VidbgError):
                raise
            self._network_failed(error)
        finally:
            worker.watch.end()

    def compose(self, frame: Frame) -> Frame | None:
        """The composited frame; None where something fails or is given time to recover."""
        if time.monotonic() < self._retry_s:
            return None
        start = time.monotonic()
        wanted = self._worker.look  # read once: alpha and background belong together
        frame = self._fitted(frame, wanted.mirror)
        try:
            alpha = self._alpha(frame, wanted)
        except Exception as error:
            self._network_failed(error)
            return None
        finally:
            self._worker.watch.end()
        composed = None if alpha is None else self._lay_over(frame, alpha, wanted)
        self._allowed_s = max(PATIENCE_S, SLOWNESS * (time.monotonic() - start))
        return composed

    def _fitted(self, frame: Frame, mirror: bool) -> Frame:
        image = fill(frame.image, self._worker.height, self._worker.width, "fit", (0, 0, 0))
        if mirror:
            image = np.asarray(cv2.flip(image, 1), np.uint8)
        return replace(frame, image=image)

    def _alpha(self, frame: Frame, wanted: Look) -> Alpha | None:
        """Alpha; None where it calls all of the picture a person, which nobody should see."""
        if isinstance(wanted.compositing.background, PassthroughSpec):
            return np.ones(frame.image.shape[:2], np.float32)
        worker, matter = self._worker, self._require_matter()
        worker.watch.begin(self._allowed_s, NETWORK)
        alpha = matter(frame.image, frame.pts)
        self._failures = 0
        self._backoff.reset()
        if float(alpha[::8, ::8].mean()) > WHOLE:
            worker.faults.raised(NETWORK, "it calls the whole picture a person")
            return None
        worker.faults.cleared(NETWORK)
        return alpha

    def _require_matter(self) -> Matter:
        if self._matter is None:
            self._worker.watch.begin(LOAD_PATIENCE_S, NETWORK)
            self._allowed_s = FIRST_PATIENCE_S
            self._matter = self._worker.networks.load()
            self._matter.clock = self._worker.clock
        return self._matter

    def _network_failed(self, error: Exception) -> None:
        """Once may be chance; the second time in a row the network is loaded anew."""
        self._worker.faults.raised(NETWORK, error)
        self._failures += 1
        if self._matter is None:
            self._retry_s = time.monotonic() + self._backoff.next_s()
        elif self._failures == 1:
            self._matter.reset()
        else:
            self._close_matter()
            self._worker.networks.blame()
            self._failures = 0
            self._retry_s = time.monotonic() + self._backoff.next_s()

    def _lay_over(self, frame: Frame, alpha: Alpha, wanted: Look) -> Frame | None:
        worker = self._worker
        worker.watch.begin(self._allowed_s, BACKGROUND)
        try:
            compositor = self._require_compositor(wanted)
            with worker.clock.stage("composite"):
                composed = compositor(frame, alpha)
        except Exception as error:
            worker.faults.raised(BACKGROUND, error)
            self._close_compositor()
            self._retry_s = time.monotonic() + self._backoff.next_s()
            return None
        finally:
            worker.watch.end()
        worker.faults.cleared(BACKGROUND)
        worker.faults.cleared(FRAME)
        return composed

    def _require_compositor(self, wanted: Look) -> Compositor:
        if self._compositor is None or self._made_for is not wanted:
            self._close_compositor()
            self._compositor = Compositor(wanted.compositing, open_frames)
            self._made_for = wanted
        return self._compositor

    def _close_compositor(self) -> None:
        if self._compositor is not None:
            self._compositor.close()
            self._compositor, self._made_for = None, None

    def _close_matter(self) -> None:
        if self._matter is not None:
            matter, self._matter = self._matter, None
            matter.close()

    def close(self) -> None:
        self._close_compositor()
        self._close_matter()
