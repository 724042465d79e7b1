"""Where frames come from: one interface, one module per kind, one factory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from vidbg.frame import Frame, Interlaced, StreamInfo


class Source(Protocol):
    """Gives frames in order of time.

    Iterating ends with the stream; a failure raises SourceError. close() may be called from
    another thread and more than once; iteration then ends soon.
    """

    @property
    def info(self) -> StreamInfo: ...

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_source(
    name: str | Path,
    *,
    copy_streams: bool = True,
    interlaced: Interlaced = "deinterlace",
    again: bool = False,
) -> Source:
    """Open a picture, a video, or standard input ("-").

    Args:
        copy_streams: hand on the packets of sound and subtitles; somebody must take them.
        interlaced: what becomes of a video's interlaced frames.
        again: it was read before in this run, so what is odd about it was told.
    Raises:
        SourceError: it cannot be read; the message says why.
    """
    from vidbg.sources.files.images_source import ImagesSource, is_picture

    if is_picture(Path(name)):
        return ImagesSource([name])
    from vidbg.sources.files.video_file_source import VideoFileSource

    return VideoFileSource(str(name), copy_streams=copy_streams, interlaced=interlaced, again=again)


def open_frames(name: str | Path, *, again: bool = False) -> Source:
    """Open a picture or a video for its frames alone.

    Args:
        again: it was read before in this run, so what is odd about it was told.
    """
    return open_source(name, copy_streams=False, again=again)
