"""State that the parts of one live run share."""

from __future__ import annotations

import threading
import time

from vidbg.frame import StreamInfo
from vidbg.pipeline.live.appearance import Appearance
from vidbg.pipeline.live.faults import Faults
from vidbg.util.timing import StageClock

ALPHA_SHOWN_S = 2.0
"""How long after a request the next one for alpha is expected."""


class RunContext:
    """What camera, stages and outputs of a run have in common.

    Args:
        info: size and rate of the output at the start.
        look: the initial look.
        thins_frames: take no more frames from the camera than the outputs show; may change.

    Attributes:
        info: the current size and rate, which only OutputGate replaces.
        look: the current look, which only OutputGate replaces.
        faults: receives failures and recoveries.
        clock: times the stages.
        ending: set when the run must end.
        network_ran: set once a network has run, until which its failures end the run.
        alpha_asked_s: when somebody last wanted to see alpha, in monotonic seconds.
        failure: the permanent error that ends it, if there is one.
    """

    def __init__(self, info: StreamInfo, look: Appearance, *, thins_frames: bool = False) -> None:
        self.info, self.thins_frames = info, thins_frames
        self.look = look
        self.faults = Faults()
        self.clock = StageClock()
        self.ending = threading.Event()
        self.network_ran = threading.Event()
        self.alpha_asked_s = float("-inf")
        self.failure: BaseException | None = None

    @property
    def shows_alpha(self) -> bool:
        """Whether somebody looks at alpha, which a GPU that does full frames keeps to itself."""
        return time.monotonic() - self.alpha_asked_s < ALPHA_SHOWN_S

    @property
    def period_s(self) -> float:
        """Time between two output frames, in seconds."""
        return 1 / float(self.info.frame_rate or 30)

    def fail(self, error: BaseException) -> None:
        """End the run with a permanent error; the first one counts."""
        self.failure = self.failure or error
        self.ending.set()
