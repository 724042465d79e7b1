"""Python API that processes files in one call."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vidbg.compositing import BackgroundSpec, CompositingConfig
from vidbg.compositing.compositor import as_compositing
from vidbg.config import MattingConfig
from vidbg.errors import ConfigError, SinkError
from vidbg.picture.picture_config import PictureConfig
from vidbg.pipeline.files.file_outputs import OutputConfig, check_jobs, existing_outputs
from vidbg.pipeline.files.jobs import plan_jobs
from vidbg.pipeline.files.process import Observer, Processor
from vidbg.util.field_types import check_type
from vidbg.util.paths import StrPath


def process(
    source: StrPath | Sequence[StrPath],
    output: StrPath | None = None,
    *,
    background: StrPath | BackgroundSpec | CompositingConfig,
    picture: PictureConfig | None = None,
    matting: MattingConfig | None = None,
    written: OutputConfig | None = None,
    observer: Observer | None = None,
) -> list[Path]:
    """Replace the background of a video, an image, or everything in a folder or glob pattern.

    Args:
        source: a file, a folder or a glob pattern, or a sequence of them.
        output: a file or folder; None puts results next to their inputs.
        background: a value of `vidbg process -b`, a file's path, or a complete CompositingConfig.
        picture: how the inputs' own pictures are adjusted.
        matting: device, precision, network size and smoothing.
        written: encoding, and whether to replace files that exist (by default not).
        observer: receives the progress.
    Returns:
        The files written, in the order of their inputs.
    Raises:
        VidbgError: something cannot be read, computed or written; the files before it are finished.
            An argument of another type is a ConfigError.
    """
    sources: list[Any] = [source]
    if not isinstance(source, str | os.PathLike):
        if not isinstance(source, Iterable) or isinstance(source, bytes | Mapping):
            check_type("the source", source, StrPath)
        sources = list(source)
    for name in sources:
        check_type("the source", name, StrPath)
    check_type("the output", output, StrPath | None)
    check_type("picture", picture, PictureConfig | None)
    check_type("matting", matting, MattingConfig | None)
    check_type("written", written, OutputConfig | None)
    if observer is not None and not hasattr(observer, "advanced"):
        raise ConfigError(f"the observer is {observer!r}; it needs the methods of Observer")
    compositing = as_compositing(background)
    written = written or OutputConfig()
    target = None if output is None else os.fspath(output)
    names = [os.fspath(name) for name in sources]
    jobs = plan_jobs(names, target, transparent=compositing.background.transparent)
    check_jobs(jobs, compositing, written)
    present = [path for job in jobs for path in existing_outputs(job, written)]
    if present and not written.overwrite:
        raise SinkError(f"{present[0]} exists; pass OutputConfig(overwrite=True) to replace it")
    with Processor(compositing, written, matting, picture) as processor:
        for job in jobs:
            processor(job, observer)
    return [Path(job.target) for job in jobs]
