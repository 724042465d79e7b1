"""One live run: a camera, the network, an output, and their states.

The output never stops and never shows the room: a frame that cannot be composited is replaced by
the background or a card. Reader, two Stages (matting, compositing) and OutputWriter each have a
thread, so the network works on one frame while the last is composited. The caller's thread draws
the previews and supervises the others.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from vidbg.frame import Frame, StreamInfo
from vidbg.matting.ladder import Step
from vidbg.pipeline.live.appearance import Appearance, Arrived, Composited, Matted
from vidbg.pipeline.live.capture.reader import Reader
from vidbg.pipeline.live.faults import Faults
from vidbg.pipeline.live.network.governor import Governor, levels_of
from vidbg.pipeline.live.network.network_loader import Networks
from vidbg.pipeline.live.outputs.fallback import fallback_image
from vidbg.pipeline.live.outputs.output_writer import OutputWriter
from vidbg.pipeline.live.stages import compositing_stage as compositing
from vidbg.pipeline.live.stages import matting_stage as matting
from vidbg.pipeline.live.stages.compositing_stage import CompositingWorker
from vidbg.pipeline.live.stages.matting_stage import MattingWorker
from vidbg.pipeline.live.stages.stage import Stage
from vidbg.pipeline.live.status import EASED, TOO_LATE, LiveReport, LiveStatus, Meter, State
from vidbg.sinks import Sink
from vidbg.sources import Source
from vidbg.util.timing import StageClock

logger = logging.getLogger(__name__)

CHECK_PERIOD_S = 0.1
"""Interval between two checks of threads, viewers and state."""

STANDSTILL_S = 1.0
"""An iteration longer than this means that the process did not run."""

UNWATCHED_S = 5.0
"""Delay before the camera is closed after the last reader leaves: programs probe cameras by opening
them briefly, and a reopened meeting window does so twice."""

PATIENCE_S = 3.0
"""Wait for a thread that hangs at the end of the run."""


class Preview(Protocol):
    """A window or page that shows what viewers see, drawn in the supervisor's thread.

    Attributes:
        watches: whether it counts as a viewer, which keeps the run going without others.
        smooth: show every frame, not ten a second.
    """

    smooth: bool

    @property
    def watches(self) -> bool: ...

    def show(self, frame: Frame, status: LiveStatus) -> None:
        """Draw, and handle the input since the last call.

        Raises:
            SinkError: the window has been closed.
        """
        ...

    def close(self) -> None: ...


class Supervisor:
    """Runs a camera to an output until stop(), Ctrl-C or a permanent error.

    Args:
        open_source: opens the camera, and reopens it when needed.
        networks: loads the network; closed at the end.
        look: the initial look; see change().
        open_sink: opens the output; its failure at the start ends the run.
        info: of the output: size and rate, which do not change.
        reopens: open an output that fails again (a pipe whose reader has gone ends the run).
        on_demand: close the camera while there are no viewers, if the output reports them.
        steps: ladder steps that the governor climbs and descends to hold the rate; if empty, the
            network runs on every frame as it was loaded, however late.
        previews: drawn at most at the output's rate; one that fails is closed, the run continues.
        needs_preview: end the run with the last preview, because there is no other output.
        on_status: called a few times a second.
        frame_limit: end after this many composited frames.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        networks: Networks,
        look: Appearance,
        open_sink: Callable[[], Sink],
        info: StreamInfo,
        *,
        reopens: bool = True,
        on_demand: bool = True,
        steps: Sequence[Step] = (),
        previews: Sequence[Preview] = (),
        needs_preview: bool = False,
        on_status: Callable[[LiveStatus], None] | None = None,
        frame_limit: int | None = None,
    ) -> None:
        period_s = 1 / float(info.frame_rate or 30)
        safe = fallback_image(look.compositing, info.width, info.height)
        self.clock = StageClock()
        self._info, self._on_demand = info, on_demand
        self._previews, self._on_status = list(previews), on_status
        self._needs_preview = needs_preview
        smooth = any(preview.smooth for preview in previews)
        self._period_s = min(CHECK_PERIOD_S, period_s) if smooth else CHECK_PERIOD_S
        self._faults = Faults()
        self._failure: BaseException | None = None
        self._ending = threading.Event()
        self._pump = OutputWriter(
            open_sink,
            period_s,
            safe,
            self._faults,
            self._fail,
            self.clock,
            reopens=reopens,
            limit=frame_limit,
        )
        self._look, self._changing = look, threading.Lock()
        self._compositing: Stage[Matted, Composited] = Stage(
            compositing.PART,
            lambda watch: CompositingWorker(self._faults, self.clock, watch),
            self._show,
            self._faults,
            self._fail,
        )
        governor = None
        if steps:
            governor = Governor(levels_of(steps), 1 / period_s, time.monotonic())
        self._governor = governor
        ready = threading.Event()
        self._matting: Stage[Arrived, Matted | Composited] = Stage(
            matting.PART,
            lambda watch: MattingWorker(
                networks,
                lambda: self._look,
                info.width,
                info.height,
                self._faults,
                self.clock,
                governor,
                ready,
                watch,
            ),
            self._hand_on,
            self._faults,
            self._fail,
            networks.blame,
        )
        self._reader = Reader(open_source, self._feed, self._faults, self._fail)
        self._networks = networks
        self._round_s = time.monotonic()
        self._state = State.STARTING
        self._reason: str | None = None
        self._watched_s = time.monotonic()
        self._meter = Meter()

    @property
    def look(self) -> Appearance:
        """The current look of the output."""
        return self._look

    def stop(self) -> None:
        """Stop soon. May be called from any thread."""
        self._ending.set()

    def change(self, look: Appearance) -> None:
        """Change the look. May be called from any thread.

        Raises:
            ConfigError: the background cannot be read; nothing is changed.
        """
        safe = fallback_image(look.compositing, self._info.width, self._info.height)
        with self._changing:
            before, self._look = self._look, look
            self._pump.change(safe, keep=look.may_follow(before))

    def run(self) -> LiveReport:
        """Run to the end.

        Raises:
            VidbgError: the output cannot be opened, the network cannot be loaded, or
                something failed permanently.
        """
        try:
            self._pump.start()
            self._compositing.start()
            self._matting.start()
            self._reader.start()
            self._reader.resume()
            self._round_s = time.monotonic()
            while not self._finished():
                self._go_round()
                self._pump.done.wait(self._period_s)
        finally:
            self._end()
        if self._failure is not None:
            raise self._failure
        return self._report()

    def _feed(self, frame: Frame) -> None:
        self._matting.feed(Arrived(frame, time.monotonic()))

    def _hand_on(self, matted: Matted | Composited) -> None:
        if isinstance(matted, Composited):
            self._show(matted)
        else:
            self._compositing.feed(matted)

    def _show(self, composited: Composited) -> None:
        with self._changing:  # show no frame of the previous background
            if composited.look is self._look or self._look.may_follow(composited.look):
                self._pump.give(composited.arrived)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._ending.set()

    def _finished(self) -> bool:
        if self._ending.is_set() or self._pump.done.is_set():
            return True
        if not self._reader.ended.is_set():
            return False
        return self._matting.idle and self._compositing.idle and self._pump.caught_up

    def _go_round(self) -> None:
        """Run one iteration of the supervising thread."""
        self._heed_standstill()
        for part in (self._reader, self._matting, self._compositing, self._pump):
            part.check()
        watched = self._heed_watchers()
        status = self._status(watched)
        if self._on_status is not None:
            self._on_status(status)
        self._draw(status)

    def _heed_standstill(self) -> None:
        """Restart the governor after the process was stopped (Ctrl-Z), frozen or asleep."""
        now = time.monotonic()
        stood_s, self._round_s = now - self._round_s, now
        if stood_s > STANDSTILL_S:
            logger.info("everything stood still for %.1f s", stood_s)
            if self._governor is not None:
                self._governor.restart(now)

    def _heed_watchers(self) -> bool | None:
        """Close the camera some time after the last viewer leaves, and reopen it for the next."""
        if not self._on_demand:
            return None
        watched, now = self._pump.watched(), time.monotonic()
        if watched is not False or any(preview.watches for preview in self._previews):
            self._watched_s = now
            if not self._reader.active:
                self._pump.idle(False)
                self._reader.resume()
        elif self._reader.active and now - self._watched_s > UNWATCHED_S:
            self._reader.pause()
            self._pump.idle(True)
        return watched

    def _status(self, watched: bool | None) -> LiveStatus:
        state, reason = self._judge()
        if (state, reason) != (self._state, self._reason):
            self._tell(state, reason)
        fps, cpu_percent = self._meter.read(self._pump.frames)
        latencies_s = self._pump.latencies_s
        latency_ms = 1e3 * latencies_s[-1] if latencies_s else None
        governor = self._governor
        reduced = EASED if governor is not None and governor.reduced else None
        return LiveStatus(state, reason, fps, cpu_percent, latency_ms, watched, reduced)

    def _judge(self) -> tuple[State, str | None]:
        shown = self._pump.shown
        if not self._reader.active:
            return State.PAUSED, "nobody watches, so the camera is off"
        fault = self._faults.present()
        if shown is not None and shown.live and not self._pump.failing:
            return State.LIVE, fault  # one frame failed, the previous one is still shown
        if fault is None and self._pump.frames == 0:
            return State.STARTING, None
        if fault is None and self._state in (State.PAUSED, State.STARTING):
            return State.STARTING, None
        return State.DEGRADED, fault or TOO_LATE

    def _tell(self, state: State, reason: str | None) -> None:
        if state is not self._state:
            level = logging.WARNING if state is State.DEGRADED else logging.INFO
            words = f" ({reason})" if reason else ""
            logger.log(level, "%s -> %s%s", self._state.words, state.words, words)
        self._state, self._reason = state, reason

    def _draw(self, status: LiveStatus) -> None:
        shown = self._pump.shown
        if shown is None:
            return
        for preview in list(self._previews):
            try:
                preview.show(shown.frame, status)
            except Exception as error:  # the output matters more than the preview
                self._previews.remove(preview)
                _close(preview)
                if self._needs_preview and not self._previews:  # the run would have no viewer
                    self._fail(error)
                    return
                logger.warning("the preview is over: %s", error)

    def _end(self) -> None:
        self._pump.stop(PATIENCE_S)
        self._reader.stop(PATIENCE_S)
        self._matting.stop(PATIENCE_S)
        self._networks.close(PATIENCE_S)
        self._compositing.stop(PATIENCE_S)
        for preview in self._previews:
            _close(preview)

    def _report(self) -> LiveReport:
        pump = self._pump
        return LiveReport(
            frames=pump.frames,
            repeated=pump.repeated,
            fallback_frames=pump.fallback_frames,
            dropped=self._matting.dropped + self._compositing.dropped + pump.superseded,
            faults=self._faults.count,
            seconds=pump.last_s - pump.first_s,
            latencies_s=list(pump.latencies_s),
        )


def _close(preview: Preview) -> None:
    """Close a preview that may be broken."""
    try:
        preview.close()
    except Exception as error:
        logger.debug("the preview does not close", exc_info=error)
