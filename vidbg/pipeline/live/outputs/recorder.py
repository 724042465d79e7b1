"""Recording of a live run's output to a video file."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from vidbg.compositing.scaling import letterbox
from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.outputs.output_set import OutputSet
from vidbg.pipeline.live.outputs.output_writer import OutputTarget, OutputWriter
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.sinks.encoding.formats import Encoding
from vidbg.util.lifecycle import Abortable
from vidbg.util.paths import StrPath

logger = logging.getLogger(__name__)

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")

ENCODING = Encoding(crf=20, preset="ultrafast")
"""The network needs the processor more. A 1280x720 frame of a person with the grain of a webcam
takes 5 ms of processor time, with x264's "veryfast" 10 ms, on an AMD EPYC with AVX-512; the file
has 3 instead of 0.7 Mbit/s."""

SPARE_BYTES = 100 * 2**20
"""A recording ends while the disk has so much left, for its index and for everything else."""

SPACE_PERIOD_S = 1.0

COMPLETE_PATIENCE_S = 60.0
"""A slow disk takes a while to write what is still in memory."""


@dataclass(frozen=True, slots=True)
class RecordingStatus:
    """A recording, or the last one if it failed.

    Attributes:
        path: of the file, which can be played already, up to about the last second.
        seconds: its length so far.
        size_bytes: its size so far.
        problem: why it ended; None while it goes on.
    """

    path: Path
    seconds: float
    size_bytes: int
    problem: str | None = None


class RecordingSink(Abortable):
    """Writes frames to a video file until the disk is almost full.

    Raises:
        SinkError: the file cannot be written to, or the disk is almost full. What was recorded is
            kept.
    """

    def __init__(self, path: Path, info: StreamInfo) -> None:
        self.path = path
        self._check_space()
        from vidbg.sinks.files.video_file_sink import VideoFileSink  # 18 MB, for recordings alone

        self._info = info
        self._file = VideoFileSink(path, info, encoding=ENCODING, durable=True)
        self._checked_s = time.monotonic()
        self._first_pts: float | None = None
        self.seconds = 0.0

    @property
    def size_bytes(self) -> int:
        """Bytes written so far; 0 where the file is gone."""
        return self._file.size_bytes

    def write(self, frame: Frame) -> None:
        if time.monotonic() - self._checked_s > SPACE_PERIOD_S:
            self._checked_s = time.monotonic()
            self._check_space()
        if (frame.width, frame.height) != (self._info.width, self._info.height):
            image = letterbox(frame.image, self._info.height, self._info.width)
            frame = replace(frame, image=image)
        self._file.write(frame)
        self._first_pts = frame.pts if self._first_pts is None else self._first_pts
        self.seconds = frame.pts - self._first_pts

    def adapt(self, info: StreamInfo) -> None:
        """Take frames of any size: the file keeps its own, with bars where the shape differs."""

    def watched(self) -> bool | None:
        """Return True: the camera stays on for a recording."""
        return True

    def close(self) -> None:
        self._file.close()

    def abort(self) -> None:
        self._file.abort()

    def _check_space(self) -> None:
        try:
            free = shutil.disk_usage(self.path.absolute().parent).free
        except OSError:  # the file itself will tell what is wrong
            return
        if free < SPARE_BYTES:
            raise SinkError(
                f"the disk of {self.path} is almost full ({free / 2**20:.0f} MB are left); make "
                "room, or record to another disk"
            )


class Recorder:
    """Records what the outputs show; any end of the run completes the file.

    Faults of camera and network do not end a recording: it then has what viewers saw. A fault of
    the file ends it, and nothing else.

    Args:
        outputs: of the run.
        context: of the run, whose outputs' size a recording has from its start to its end.
    """

    def __init__(self, outputs: OutputSet, context: RunContext) -> None:
        self._outputs, self._context = outputs, context
        self._lock = threading.Lock()
        self._sink: RecordingSink | None = None
        self._writer: OutputWriter | None = None
        self._failed: RecordingStatus | None = None
        self._tasks = BackgroundTasks()

    @property
    def status(self) -> RecordingStatus | None:
        """The recording in progress, or the last one if it failed; None if there is none."""
        sink = self._sink
        if sink is None:
            return self._failed
        return RecordingStatus(sink.path, sink.seconds, sink.size_bytes)

    def start(self, path: StrPath) -> None:
        """Start recording to a new file.

        Raises:
            ConfigError: a recording is in progress, or the file's suffix is none of SUFFIXES.
            SinkError: the file exists or cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in SUFFIXES:
            raise ConfigError(f"{path}: a recording's name ends in {', '.join(SUFFIXES)}")
        with self._lock:
            if self._sink is not None:
                raise ConfigError(f"{self._sink.path} is being recorded; stop that first")
            self._failed = None
            sink = RecordingSink(path, self._context.info)
            target = OutputTarget("recording", lambda: sink, reopens=False)
            self._sink, self._writer = sink, self._outputs.add_writer(target)
        logger.info("recording to %s", path)

    def stop(self) -> RecordingStatus | None:
        """Complete the file and wait for it.

        Returns:
            What was recorded; None if nothing was. `problem` says what failed.
        """
        with self._lock:
            sink, writer = self._sink, self._writer
            failed, self._failed = self._failed, None
            if sink is None or writer is None:
                return failed
            error = self._outputs.error_of(writer)
            size_bytes = sink.size_bytes
            self._outputs.remove_writer(writer, COMPLETE_PATIENCE_S)
            self._sink = self._writer = None
        problem = None if error is None else str(error)
        try:
            size_bytes = sink.path.stat().st_size
        except OSError:
            problem = problem or f"{sink.path} could not be completed"
        logger.info("recorded %.1f s to %s", sink.seconds, sink.path)
        return RecordingStatus(sink.path, sink.seconds, size_bytes, problem)

    def check(self) -> None:
        """End a recording that failed. Call this a few times a second."""
        writer = self._writer
        if writer is None or self._tasks.running:
            return
        error = self._outputs.error_of(writer)
        if error is not None:
            logger.warning("the recording has ended: %s", error)
            self._tasks.start("complete", self._complete_failed)

    def close(self) -> None:
        """Complete the file at the end of the run."""
        self._tasks.close(COMPLETE_PATIENCE_S)
        self.stop()

    def _complete_failed(self) -> None:
        failed = self.stop()
        with self._lock:
            self._failed = failed
