"""Files in, files out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from vidbg.compositing import CompositingConfig, Compositor
from vidbg.compositing.specs import PassthroughSpec, TransparentSpec
from vidbg.errors import ConfigError, SourceIncomplete
from vidbg.frame import StreamInfo
from vidbg.matting.matter import Matter
from vidbg.pipeline.jobs import PIPE, Job
from vidbg.pipeline.stream import Stream, StreamReport
from vidbg.sinks import Sink
from vidbg.sinks.fan_out import FanOutSink
from vidbg.sinks.formats import Encoding, OutputKind, output_kind
from vidbg.sources import Source, open_source

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """How results are written.

    Attributes:
        encoding: quality and speed of the video encoder.
        overwrite: replace a file that exists (never the input).
        alpha_video: write the matte, too, as a grey video of this name.
    """

    encoding: Encoding = field(default_factory=Encoding)
    overwrite: bool = False
    alpha_video: Path | None = None


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


def process_file(
    job: Job,
    matter: Matter | None,
    compositing: CompositingConfig,
    output: OutputConfig,
    observer: Observer | None = None,
) -> StreamReport:
    """Make one file of another.

    Args:
        matter: None for passthrough; its temporal state is forgotten first.
    Raises:
        VidbgError: what failed; no part of a file is left behind. After SourceIncomplete the
            result of what could be read has been written.
    """
    watcher = observer or Silent()
    if matter is not None:
        matter.reset()
    check_target(job, output)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(job.source))
        compositor = stack.enter_context(closing(Compositor(compositing, open_source)))
        sink = stack.enter_context(
            _keeping_incomplete(_open_sink(job, source, compositing, output))
        )
        watcher.started(job, source.info)
        stream = Stream(source, matter, compositor, sink, on_frame=watcher.advanced)
        return stream.run()


def needs_matter(compositing: CompositingConfig, output: OutputConfig) -> bool:
    """Passthrough alone gets by without a network."""
    return not isinstance(compositing.background, PassthroughSpec) or bool(output.alpha_video)


def check_target(job: Job, output: OutputConfig) -> None:
    """Refuse to write over the input, whatever is asked for.

    Raises:
        ConfigError: the output, or the alpha video, is the input itself, or one the other.
    """
    targets = [Path(job.target)] if job.target != PIPE else []
    targets += [output.alpha_video] if output.alpha_video else []
    for target in targets:
        if job.source != PIPE and target.exists() and target.samefile(job.source):
            raise ConfigError(f"{target} is the input itself; give another name for the output")
    if len(targets) == 2 and targets[0].resolve() == targets[1].resolve():
        raise ConfigError(f"output and alpha video are both {targets[0]}; give two names")


def _open_sink(
    job: Job, source: Source, compositing: CompositingConfig, output: OutputConfig
) -> Sink:
    transparent = isinstance(compositing.background, TransparentSpec)
    main = _main_sink(job, source, transparent, output)
    if output.alpha_video is None:
        return main
    try:
        return FanOutSink([main, _video(output.alpha_video, source, "mask", output, relay=None)])
    except BaseException:
        main.abort()
        raise


def _main_sink(job: Job, source: Source, transparent: bool, output: OutputConfig) -> Sink:
    if job.target == PIPE:
        from vidbg.sinks.raw_pipe import RawPipeSink

        return RawPipeSink(source.info)
    if output_kind(job.target, alpha=transparent) is OutputKind.PICTURES:
        from vidbg.sinks.images import ImagesSink

        return ImagesSink(
            job.target,
            names=[Path(job.source).stem] if source.info.stills else None,
            alpha=transparent,
            overwrite=output.overwrite,
        )
    content: Literal["transparent", "opaque"] = "transparent" if transparent else "opaque"
    return _video(Path(job.target), source, content, output, getattr(source, "relay", None))


def _video(
    path: Path,
    source: Source,
    content: Literal["transparent", "opaque", "mask"],
    output: OutputConfig,
    relay: Any,
) -> Sink:
    from vidbg.sinks.video_file import VideoFileSink

    if source.info.stills:
        raise ConfigError(f"a picture cannot become the video {path}; give a picture's name")
    return VideoFileSink(
        path,
        source.info,
        content=content,
        encoding=output.encoding,
        relay=relay,
        overwrite=output.overwrite,
    )


@contextmanager
def _keeping_incomplete(sink: Sink) -> Iterator[Sink]:
    """Close the sink also after SourceIncomplete: what could be read is worth keeping."""
    try:
        yield sink
    except SourceIncomplete:
        sink.close()
        raise
    except BaseException:
        sink.abort()
        raise
    else:
        sink.close()
