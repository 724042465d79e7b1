"""Frame sources: one interface, one module per kind, one factory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from vidbg.frame import Frame, StreamInfo
from vidbg.util.choices import Interlaced
from vidbg.util.lifecycle import Managed


class Source(Managed, Protocol):
    """Source of frames in order of time.

    Iteration ends with the stream; a failure raises SourceError. close() may be called from
    another thread and more than once; iteration then ends soon.
    """

    @property
    def info(self) -> StreamInfo: ...

    def __iter__(self) -> Iterator[Frame]: ...


def open_source(
    name: str | Path,
    *,
    copy_streams: bool = True,
    interlaced: Interlaced = "deinterlace",
    again: bool = False,
) -> Source:
    """Open a photo, a video, or standard input ("-").

    Args:
        copy_streams: relay the audio and subtitle packets; the caller must consume them.
        interlaced: how to handle a video's interlaced frames.
        again: it was already read in this run, so its warnings are not repeated.
    Raises:
        SourceError: it cannot be read; the message says why.
    """
    from vidbg.sources.files.images_source import ImagesSource, is_picture

    if is_picture(Path(name)):
        return ImagesSource([name])
    from vidbg.sources.files.video_file_source import VideoFileSource

    return VideoFileSource(str(name), copy_streams=copy_streams, interlaced=interlaced, again=again)


def open_frames(name: str | Path, *, again: bool = False) -> Source:
    """Open a photo or a video for its frames only.

    Args:
        again: it was already read in this run, so its warnings are not repeated.
    """
    return open_source(name, copy_streams=False, again=again)
