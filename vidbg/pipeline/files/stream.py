"""One stream from source to sink: reading, matting and writing overlap in three threads.

Live streams and files differ only between reader and matter: a live stream keeps the newest
frame and counts the dropped ones, a file drops nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from vidbg.errors import SourceIncomplete
from vidbg.frame import Frame
from vidbg.pipeline.frame_processor import FrameProcessor
from vidbg.sinks import Sink
from vidbg.sources import Source
from vidbg.util.mailbox import Abandoned, Mailbox
from vidbg.util.timing import KEPT

logger = logging.getLogger(__name__)

READ_AHEAD, WRITE_BEHIND = 4, 2
"""Frames queued between the threads: enough to overlap, few enough for low latency."""

PATIENCE_S = 3.0
"""Wait after a failure or Ctrl-C for a thread that hangs in a pipe or a camera driver."""

MAX_UNDER_WAY = WRITE_BEHIND + 2
"""Maximum number of frames between matting and compositing: queued, entering and leaving."""


@dataclass(frozen=True, slots=True)
class StreamReport:
    """Statistics of a finished stream.

    Attributes:
        frames: number of frames written.
        dropped: number of frames that a live stream skipped.
        seconds: wall time.
        latencies_s: of the last frames, from read to written, in seconds.
    """

    frames: int
    dropped: int
    seconds: float
    latencies_s: list[float]


class Stream:
    """Reads, mattes, composites and writes frames until the source ends or stop() is called.

    It does not open or close the source and the sink: the caller's `with` blocks do.

    Args:
        processor: processes each frame; one on a device needs MAX_UNDER_WAY slots.
        on_frame: called after each written frame with the number written, in the writer's thread.
        frame_limit: end after reading this many frames.
    """

    def __init__(
        self,
        source: Source,
        processor: FrameProcessor,
        sink: Sink,
        *,
        on_frame: Callable[[int], None] | None = None,
        frame_limit: int | None = None,
    ) -> None:
        self._source, self._processor, self._sink = source, processor, sink
        self._clock = processor.clock
        self._on_frame = on_frame
        self._frame_limit = frame_limit
        live = source.info.live
        self._inbox: Mailbox[tuple[Frame, float]] = Mailbox(1 if live else READ_AHEAD, newest=live)
        self._outbox: Mailbox[tuple[Any, float]] = Mailbox(WRITE_BEHIND)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._latencies_s: deque[float] = deque(maxlen=KEPT)
        self._frames = 0

    def stop(self) -> None:
        """Stop soon, as if the source had ended. May be called from any thread."""
        self._stopping.set()

    def run(self) -> StreamReport:
        """Run to the end.

        Raises:
            VidbgError: whatever failed in any of the threads. After SourceIncomplete every frame
                that could be read has been written.
        """
        start = time.perf_counter()
        threads = [
            threading.Thread(target=work, name=f"vidbg-{work.__name__.strip('_')}", daemon=True)
            for work in (self._read_frames, self._write_frames)
        ]
        for thread in threads:
            thread.start()
        try:
            incomplete = self._mat()
            self._outbox.close()
            writer = threads[1]
            # Wait until writing is done, in slices because Windows does not interrupt a join.
            while writer.is_alive():
                writer.join(timeout=0.5)
        except BaseException as error:
            self._inbox.abandon()
            self._outbox.abandon()
            self._join(threads)
            if not isinstance(error, Exception):  # Ctrl-C ended the pipe's reader, too
                raise
            raise self._failure or error from None
        self._join(threads)
        if self._failure or incomplete:
            raise self._failure or incomplete  # type: ignore[misc]
        seconds = time.perf_counter() - start
        return StreamReport(self._frames, self._inbox.dropped, seconds, list(self._latencies_s))

    def _read_frames(self) -> None:
        """Read frames into the inbox, in the reader's thread."""
        frames = islice(self._source, self._frame_limit)
        try:
            while not self._stopping.is_set():
                with self._clock.stage("read"):
                    frame = next(frames, None)
                if frame is None:
                    break
                self._inbox.put((frame, time.perf_counter()))
            self._inbox.close()
        except Abandoned:
            pass
        except BaseException as error:
            self._inbox.close(error)

    def _mat(self) -> SourceIncomplete | None:
        """Run the matting half for every frame; return SourceIncomplete if the source broke off."""
        stills = self._source.info.stills
        arrivals: deque[float] = deque()  # of the frames that wait for later ones, and of this one
        incomplete = None
        try:
            for frame, arrived in self._inbox:
                if stills:
                    self._processor.reset()
                arrivals.append(arrived)
                for matte in self._processor.start(frame):
                    self._outbox.put((matte, arrivals.popleft()))
        except SourceIncomplete as error:
            incomplete = error
        for matte in self._processor.flush():
            self._outbox.put((matte, arrivals.popleft()))
        return incomplete

    def _write_frames(self) -> None:
        """Composite and write the frames of the outbox, in the writer's thread."""
        try:
            for matte, arrived in self._outbox:
                composed = self._processor.finish(matte)
                with self._clock.stage("write"):
                    self._sink.write(composed)
                self._frames += 1
                self._latencies_s.append(time.perf_counter() - arrived)
                if self._on_frame is not None:
                    self._on_frame(self._frames)
        except Abandoned:
            pass
        except BaseException as error:
            self._failure = error
            self._inbox.abandon()
            self._outbox.abandon()

    def _join(self, threads: list[threading.Thread]) -> None:
        """Wait for the threads, closing a source that blocks in a read to wake it."""
        self._stopping.set()
        if self._failure is not None or threads[0].is_alive():
            self._source.close()
        for thread in threads:
            thread.join(timeout=PATIENCE_S)
            if thread.is_alive():
                logger.info("%s hangs and is left behind", thread.name)
