"""Reads a camera, and opens it again whenever it fails, ends or freezes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from vidbg.errors import CameraBlocked, ConfigError, SourceError
from vidbg.frame import Frame
from vidbg.pipeline.live.capture import camera_request
from vidbg.pipeline.live.capture.camera_request import (
    CameraRequest,
    NextCamera,
    OpenedCamera,
    require_picture,
)
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.faults import CAMERA_SWITCH
from vidbg.pipeline.live.live_frames import Arrived
from vidbg.pipeline.live.stages.matting_stage import MattingStage
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.pipeline.live.threads.backoff import Backoff
from vidbg.pipeline.live.threads.replaceable_thread import Deadline, ReplaceableThread
from vidbg.sources import Source

logger = logging.getLogger(__name__)

READ_PATIENCE_S, PATIENT_INTERVALS = 3.0, 3.0
"""A camera hangs if a frame takes longer than both this time and this many of its intervals."""

MAX_HANGING = 3

CLOSE_PATIENCE_S = 1.0
"""How long the next camera waits for the last one to close."""

REFUSAL_SHOWN_S = 30.0
"""How long it is told that a camera was not taken: nothing is wrong with the one in use."""

PART = "camera"


class Reader:
    """Keeps a camera open and delivers its frames with ever-increasing times and numbers.

    Args:
        camera: the first one.
        matting: takes each frame; its pts is in seconds since the reader was made.
        context: of the run.

    Attributes:
        camera: the one that is read; another that was asked for may be opening beside it.
        refused: the one that was asked for last, if `camera` is in use because it cannot be read.
        ended: set when a source that is not live has delivered its last frame.
    """

    def __init__(self, camera: CameraRequest, matting: MattingStage, context: RunContext) -> None:
        self.camera, self._matting, self._context = camera, matting, context
        self._wanted, self._stopping = threading.Event(), threading.Event()
        self.ended = threading.Event()
        # The thread that reads, and when it hangs or tries again
        self._thread = ReplaceableThread(PART, self._read_camera, MAX_HANGING)
        self._deadline, self._backoff = Deadline(), Backoff()
        self._started = False
        # The open camera, which others close: `_lock` is held for moments only
        self._lock = threading.Lock()
        self._source: Source | None = None
        self._opened: OpenedCamera | None = None
        self._delivering = False
        self._closers = BackgroundTasks()
        # Another camera in its place: `_replacing` is held while thread or camera change
        self._replacing = threading.Lock()
        self._next = NextCamera(self)
        self._last_good: CameraRequest | None = None  # while another is tried in its place
        self.refused: CameraRequest | None = None
        self._refused_s = 0.0
        self._switched = False
        # Times and numbers of the frames, which go on from one opening to the next
        self._epoch, self._last_pts = time.monotonic(), 0.0
        self._index, self._session = 0, 0

    def start(self) -> None:
        with self._replacing:
            self._started = True
            self._thread.start()

    # --- the way of a frame ---

    def _read_camera(self, turn: int) -> None:
        """Open the camera and read it, again and again, until the run or this turn ends."""
        deadline = self._deadline
        while self._going(turn):
            self._wanted.wait()
            if not self._going(turn):
                return
            try:
                self._read_session(turn, deadline)
            except Exception as error:
                if isinstance(error, ConfigError) and not self._switched:
                    self._context.fail(error)
                    return
                if self._going(turn) and self.active and not self._return_to_last(turn, error):
                    self._context.faults.raised(PART, error)
                    self._stopping.wait(self._backoff.next_s())

    def _read_session(self, turn: int, deadline: Deadline) -> None:
        """Read the camera from opening to closing it.

        Raises:
            SourceError: it cannot be opened, or fails.
        """
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is None:
            self._closers.wait(CLOSE_PATIENCE_S)  # most cameras can be open only once
            with deadline.over(camera_request.OPEN_PATIENCE_S):
                source = self.camera.open()
            frames = iter(source)
        else:
            source, frames = opened.source, chain([opened.first], opened.frames)
        with self._lock:  # so that others can close it
            wanted = self._going(turn) and self.active
            if wanted:
                self._source = source
                self._session += 1
        try:
            if wanted:
                self._read_frames(source, frames, turn, deadline)
        finally:  # a device still open after a failure cannot be reopened
            source.close()
            with self._lock:
                self._delivering = self._delivering and not self._thread.current(turn)

    def _read_frames(
        self, source: Source, frames: Iterator[Frame], turn: int, deadline: Deadline
    ) -> None:
        """Pass each frame to matting, until the camera ends, fails or is no longer wanted.

        Raises:
            SourceError: it fails, or a live one ends.
        """
        offset = None
        interval_s = 1 / float(source.info.frame_rate or 30)
        patience_s = max(READ_PATIENCE_S, PATIENT_INTERVALS * interval_s)
        while self._going(turn) and self.active:
            # The next frame; a thread that was replaced while it waited lets go of it
            with deadline.over(patience_s):
                frame = next(frames, None)
            if not self._thread.current(turn):
                return
            if frame is None:
                if not self.active or self._stopping.is_set():
                    return
                if source.info.live and source.info.frame_count is None:
                    raise SourceError("the camera gives no more pictures; it is opened again")
                self.ended.set()
                return
            require_picture(frame)
            # Its time counts from the start of the run, whatever clock the camera has
            if offset is None:
                offset = time.monotonic() - self._epoch - frame.pts
            self._last_pts = max(frame.pts + offset, self._last_pts + 1e-4)
            numbered = replace(frame, pts=self._last_pts, index=self._index)
            self._index += 1
            self._matting.take(Arrived(numbered, time.monotonic(), self._session))
            # The camera works
            with self._lock:
                if not self._thread.current(turn):
                    return
                self._delivering, self._last_good = True, None
            self._backoff.worked()
            self._context.faults.cleared(PART)

    def _going(self, turn: int) -> bool:
        ends = self._stopping.is_set() or self.ended.is_set()
        return self._thread.current(turn) and not ends

    # --- what the run asks of it ---

    @property
    def active(self) -> bool:
        """Whether the camera is in use: not between pause() and resume()."""
        return self._wanted.is_set()

    @property
    def mode(self) -> str | None:
        """Size, rate and format of the open camera, in words; None if it does not tell."""
        return str(getattr(self._source, "mode", "")) or None

    @property
    def silent_s(self) -> float:
        """How long the next frame has been waited for, in seconds."""
        return self._deadline.running_s

    def require_room(self) -> None:
        """Refuse to switch to one more camera while several have not answered yet.

        Raises:
            ConfigError: too many are still opening.
        """
        if self._next.full:
            raise ConfigError(
                "the camera cannot change: the last ones that were asked for do not answer yet; "
                "try again in a moment, or unplug them"
            )

    def resume(self) -> None:
        """Open the camera and read it."""
        self._wanted.set()

    def pause(self) -> None:
        """Close the camera until resume(). One that was opening takes its place then."""
        with self._replacing:
            self._wanted.clear()
            waiting = self._next.cancel()
            if waiting is not None:
                self._last_good, self.camera = self.camera, waiting
            self._context.faults.forget(PART)
            self._context.faults.forget(CAMERA_SWITCH)
            self._close_source()

    def switch(self, camera: CameraRequest) -> None:
        """Read another camera as soon as it can be read. Returns at once.

        A camera that delivers goes on until the other has given a frame. It is closed first if
        both are one device, or if the other gives nothing beside it. If the other cannot be read
        at all, it is read again, and the other is `refused`. Where nothing delivers, the other is
        opened again and again.
        """
        with self._replacing:
            self._switched, self.refused = True, None
            self._next.cancel()
            self._context.faults.forget(CAMERA_SWITCH)
            if self._last_good is not None:
                back = camera.settings == self._last_good.settings
                self._replace_camera(camera, None if back else self._last_good)
            elif not (self._delivering and self.active):
                self._replace_camera(camera, None)
            elif camera.settings == self.camera.settings:  # it was about to be replaced
                return
            elif camera.device is not None and camera.device == self.camera.device:
                self._replace_camera(camera, self.camera)
            else:
                self._next.open(camera)

    def check(self) -> None:
        """Replace a thread that hangs. Call this a few times a second."""
        refused = None
        with self._replacing:
            if self._stopping.is_set():
                return
            late = self._next.overdue()
            taken_s = self._deadline.overdue_s()
            if taken_s is None:
                self._thread.revive()
            elif self._last_good is not None:
                refused = self.camera
                self._replace_camera(self._last_good, None)
            else:
                words = f"frozen: no picture for {taken_s:.0f} s; it is opened again"
                self._context.faults.raised(PART, words)
                if not self._replace_thread():
                    count = MAX_HANGING + 1
                    logger.warning("the camera hung %d times; waiting for its driver", count)
        if late is not None:
            self.refuse(late, SourceError("it does not answer"))
        if refused is not None:
            self._report_refusal(refused, SourceError("it does not answer"))
        if time.monotonic() - self._refused_s > REFUSAL_SHOWN_S:
            self._context.faults.forget(CAMERA_SWITCH)

    def stop(self, patience_s: float) -> None:
        with self._replacing:
            self._stopping.set()
            self._next.cancel()
        self._wanted.set()
        self._close_source()
        self._thread.end(patience_s)
        self._next.close(patience_s)
        self._closers.close(patience_s)

    # --- another camera ---

    def _replace_camera(self, camera: CameraRequest, last_good: CameraRequest | None) -> None:
        """Close the camera, then open another.

        Args:
            last_good: to return to, if the other cannot be read.
        """
        self.camera, self._last_good, self._backoff = camera, last_good, Backoff()
        self._context.faults.forget(PART)
        if self._started:
            self._replace_thread()

    def take_over(self, opened: OpenedCamera) -> bool:
        """Read a camera that was opened beside the last one, from the frame that it has given."""
        with self._replacing:
            if not self._next.finish(opened.request) or self._stopping.is_set():
                return False
            self.camera, self._backoff = opened.request, Backoff()
            self._context.faults.forget(PART)
            self._replace_thread(opened)
            return True

    def refuse(self, camera: CameraRequest, error: Exception) -> None:
        """Keep the camera in use, unless the other one may work once that is closed."""
        with self._replacing:
            if not self._next.finish(camera):
                return
            if isinstance(error, CameraBlocked):
                self._replace_camera(camera, self.camera)
                return
        self._report_refusal(camera, error)

    def _return_to_last(self, turn: int, error: Exception) -> bool:
        """Go back to the camera that worked; return whether there is one."""
        with self._replacing:
            if self._last_good is None or not self._thread.current(turn):
                return False
            refused, self.camera, self._last_good = self.camera, self._last_good, None
        self._report_refusal(refused, error)
        return True

    def _report_refusal(self, refused: CameraRequest, error: Exception) -> None:
        """Tell which camera cannot be read, why, and which one is read."""
        used = self.camera.name
        kept = "its last mode stays" if used == refused.name else f"camera {used} stays in use"
        words = f"camera {refused.name} cannot be used: {error}; {kept}"
        self.refused = refused  # first: who sees the fault finds the settings of the one in use
        self._refused_s = time.monotonic()
        self._context.faults.raised(CAMERA_SWITCH, words)

    # --- thread and device ---

    def _replace_thread(self, opened: OpenedCamera | None = None) -> bool:
        """Leave the thread that reads now, with its camera, and start another if possible.

        Args:
            opened: what the other reads first.
        """
        self._deadline = Deadline()  # the abandoned thread keeps the old one
        self._thread.abandon()  # first, as a camera that is closed looks like one that has ended
        self._close_source()
        with self._lock:
            self._opened = opened
        return self._thread.revive()

    def _close_source(self) -> None:
        """Close the camera in a separate thread, as closing may hang along with reading."""
        with self._lock:
            source, self._source = self._source, None
            opened, self._opened = self._opened, None
            self._delivering = False
        for each in (source, None if opened is None else opened.source):
            if each is not None:
                self._closers.start("close", each.close)
