"""Files in, files out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from vidbg.compositing import CompositingConfig, Compositor
from vidbg.config import MattingConfig
from vidbg.errors import SourceIncomplete
from vidbg.frame import StreamInfo
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.files.file_outputs import (
    OutputConfig,
    check_jobs,
    is_transparent,
    open_sink,
    wants_streams,
)
from vidbg.pipeline.files.jobs import PIPE, Job
from vidbg.pipeline.files.stream import MOST_UNDER_WAY, Stream, StreamReport
from vidbg.pipeline.frame_processor import FrameProcessors
from vidbg.sinks import Sink
from vidbg.sinks.files.partial_file import remove_left_behind
from vidbg.sources import Source, open_frames, open_source
from vidbg.util.lifecycle import Closeable


class Observer(Protocol):
    """Is told how a job goes on."""

    def started(self, job: Job, info: StreamInfo) -> None: ...

    def advanced(self, frames: int) -> None:
        """`frames` have been written so far; called in another thread."""
        ...


class Silent:
    """Does not listen."""

    def started(self, job: Job, info: StreamInfo) -> None:
        """Nothing to do."""

    def advanced(self, frames: int) -> None:
        """Nothing to do."""


class Processor(Closeable):
    """Makes files of files, one after the other, with one network for all.

    The network is loaded when the first input and its output have been opened, so that what
    cannot be read is told at once; passthrough gets by without one.

    Args:
        compositing: what to lay the person over.
        output: how results are written.
        matting: device, precision, network size, smoothing.
    """

    def __init__(
        self,
        compositing: CompositingConfig,
        output: OutputConfig | None = None,
        matting: MattingConfig | None = None,
    ) -> None:
        self._output = output or OutputConfig()
        wants_alpha = self._output.alpha_video is not None
        self._compositing = replace(compositing, keep_alpha=wants_alpha)
        self._needs_matter = wants_alpha or not compositing.background.shows_room
        self._matting = matting
        self._matter: VideoMatting | None = None
        self._roads = FrameProcessors(MOST_UNDER_WAY)
        self._tidied: set[Path] = set()

    def __call__(self, job: Job, observer: Observer | None = None) -> StreamReport:
        """Make one file of another.

        Raises:
            VidbgError: what failed; no part of a file is left behind. After SourceIncomplete the
                result of what could be read has been written.
        """
        watcher = observer or Silent()
        check_jobs([job], self._compositing, self._output)
        transparent = is_transparent(self._compositing)
        with ExitStack() as stack:
            source = stack.enter_context(self._open(job))
            self._tidy(job)
            compositor = stack.enter_context(closing(Compositor(self._compositing, open_frames)))
            sink = open_sink(job, source, transparent=transparent, output=self._output)
            stack.enter_context(_keeping_incomplete(sink, job.target))
            matter = self._required_matter()
            watcher.started(job, source.info)
            road = self._roads.choose(matter, compositor, source.info)
            stream = Stream(source, road, sink, on_frame=watcher.advanced)
            return stream.run()

    def _open(self, job: Job) -> Source:
        interlaced = self._output.interlaced
        return open_source(job.source, copy_streams=wants_streams(job), interlaced=interlaced)

    def _tidy(self, job: Job) -> None:
        """Remove what killed runs left in the folders that are written to, once for each."""
        written = [] if job.target == PIPE else [Path(job.target)]
        written += [self._output.alpha_video] if self._output.alpha_video else []
        for folder in {path.absolute().parent for path in written} - self._tidied:
            self._tidied.add(folder)
            remove_left_behind(folder)

    def _required_matter(self) -> VideoMatting | None:
        if self._matter is None and self._needs_matter:
            self._matter = VideoMatting(config=self._matting)
        return self._matter

    def close(self) -> None:
        """Free the device; may be called more than once."""
        self._roads.close()
        if self._matter is not None:
            self._matter.close()
            self._matter = None


@contextmanager
def _keeping_incomplete(sink: Sink, target: str) -> Iterator[Sink]:
    """Close the sink also after SourceIncomplete: what could be read is worth keeping."""
    try:
        yield sink
    except SourceIncomplete as error:
        sink.close()
        raise SourceIncomplete(f"{error}; what became of them is in {target}") from error
    except BaseException:
        sink.abort()
        raise
    else:
        sink.close()
