"""Processes files into files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from vidbg.compositing import CompositingConfig, Compositor
from vidbg.config import MattingConfig
from vidbg.errors import ConfigError, SourceIncomplete
from vidbg.frame import StreamInfo
from vidbg.matting.video_matting import VideoMatting
from vidbg.picture.picture_config import PictureConfig
from vidbg.pipeline.files.estimate import fast_share
from vidbg.pipeline.files.file_outputs import (
    OutputConfig,
    check_jobs,
    open_sink,
    output_names,
    wants_streams,
)
from vidbg.pipeline.files.jobs import Job
from vidbg.pipeline.files.rotated_source import RotatedSource
from vidbg.pipeline.files.stream import MAX_UNDER_WAY, Stream, StreamReport
from vidbg.pipeline.frame_processor import FrameProcessors
from vidbg.sinks import Sink
from vidbg.sinks.files.partial_file import remove_left_behind
from vidbg.sources import open_frames, open_source
from vidbg.util.lifecycle import Closeable
from vidbg.util.paths import resolved


class Observer(Protocol):
    """Receives the progress of each job."""

    def started(self, job: Job, info: StreamInfo) -> None: ...

    def advanced(self, frames: int) -> None:
        """Report the number of frames written so far. Called in another thread."""
        ...


class Silent:
    """Observer that ignores progress."""

    def started(self, job: Job, info: StreamInfo) -> None:
        """Nothing to do."""

    def advanced(self, frames: int) -> None:
        """Nothing to do."""


class Processor(Closeable):
    """Processes files one after another with a single network.

    The network is loaded after the first input and its output have been opened, so that
    unreadable files are reported at once. Passthrough needs no network.

    Args:
        compositing: the background and how the person is composited over it.
        output: how results are written.
        matting: device, precision, network size, smoothing.
        picture: how the inputs' own pictures are adjusted.
    Raises:
        ConfigError: interlaced lines are to be kept and turned.
    """

    def __init__(
        self,
        compositing: CompositingConfig,
        output: OutputConfig | None = None,
        matting: MattingConfig | None = None,
        picture: PictureConfig | None = None,
    ) -> None:
        self._output = output or OutputConfig()
        wants_alpha = self._output.alpha_video is not None
        self._compositing = replace(compositing, keep_alpha=wants_alpha)
        self._needs_matter = wants_alpha or not compositing.background.shows_room
        self._matting, self._picture = matting, picture or PictureConfig()
        if self._picture.rotate != "0" and self._output.interlaced == "keep":
            raise ConfigError(
                f"interlaced lines cannot be kept in pictures that are turned by "
                f"{self._picture.rotate} degrees; leave out --interlaced keep or --rotate"
            )
        self._matter: VideoMatting | None = None
        self._processors = FrameProcessors(MAX_UNDER_WAY)
        self._tidied: set[Path] = set()

    def __call__(self, job: Job, observer: Observer | None = None) -> StreamReport:
        """Process one input file into one output file.

        Raises:
            VidbgError: something failed; no partial file is left behind. After SourceIncomplete,
                the result of the readable part has been written.
        """
        watcher = observer or Silent()
        check_jobs([job], self._compositing, self._output)
        transparent = self._compositing.background.transparent
        with ExitStack() as stack:
            source = open_source(
                job.source, copy_streams=wants_streams(job), interlaced=self._output.interlaced
            )
            if self._picture.rotate != "0":
                source = RotatedSource(source, self._picture.rotate)
            stack.enter_context(source)
            # Remove leftovers of killed runs from each output folder, once per folder.
            written = output_names(job, self._output)
            folders = {
                name.absolute().parent for path in written for name in (path, resolved(path))
            }
            for folder in folders - self._tidied:
                self._tidied.add(folder)
                remove_left_behind(folder)
            compositor = stack.enter_context(closing(Compositor(self._compositing, open_frames)))
            sink = open_sink(job, source, transparent=transparent, output=self._output)
            stack.enter_context(_keeping_incomplete(sink, job.target))
            if self._matter is None and self._needs_matter:
                self._matter = VideoMatting(config=self._matting)
            matter = self._matter
            watcher.started(job, source.info)
            processor = self._processors.choose(matter, compositor, source.info, self._picture)
            stream = Stream(source, processor, sink, on_frame=watcher.advanced)
            return stream.run()

    def fast_share(self) -> float | None:
        """Estimate the time that the quality "fast" would take, as a share of the current time.

        Returns:
            0 to 0.8; None if it would save less, nothing was measured, or there is no network.
        """
        return None if self._matter is None else fast_share(self._matter)

    def close(self) -> None:
        """Free the device. May be called more than once."""
        self._processors.close()
        if self._matter is not None:
            self._matter.close()
            self._matter = None


@contextmanager
def _keeping_incomplete(sink: Sink, target: str) -> Iterator[Sink]:
    """Close the sink after SourceIncomplete too, to keep the readable part."""
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
