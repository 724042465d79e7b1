"""Processing files from Python in one call."""

from __future__ import annotations

import os
from pathlib import Path

from vidbg.compositing import CompositingConfig, parse_background
from vidbg.compositing.specs import TransparentSpec
from vidbg.config import MattingConfig
from vidbg.errors import SinkError
from vidbg.matting.matter import Matter
from vidbg.pipeline.jobs import plan_jobs
from vidbg.pipeline.process import Observer, OutputConfig, needs_matter, process_file


def process(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    background: str | CompositingConfig,
    matting: MattingConfig | None = None,
    written: OutputConfig | None = None,
    observer: Observer | None = None,
) -> list[Path]:
    """Replace the background of a video, a picture, or all of a folder or glob pattern.

    Args:
        source: a file, a folder or a glob pattern.
        output: a file or folder; None puts results beside their inputs.
        background: as after `vidbg process -b`, or a whole CompositingConfig.
        matting: device, precision, network size, smoothing.
        written: encoding, and whether existing files are replaced (by default not).
        observer: is told how it goes on.
    Returns:
        The files written, in the order of their inputs.
    Raises:
        VidbgError: something cannot be read, computed or written; the files before it are done.
    """
    compositing = (
        CompositingConfig(parse_background(background))
        if isinstance(background, str)
        else background
    )
    written = written or OutputConfig()
    transparent = isinstance(compositing.background, TransparentSpec)
    target = None if output is None else os.fspath(output)
    jobs = plan_jobs(os.fspath(source), target, transparent=transparent)
    present = [job.target for job in jobs if Path(job.target).is_file()]
    if present and not written.overwrite:
        raise SinkError(f"{present[0]} exists; pass OutputConfig(overwrite=True) to replace it")
    matter = Matter(config=matting) if needs_matter(compositing, written) else None
    try:
        for job in jobs:
            process_file(job, matter, compositing, written, observer)
    finally:
        if matter is not None:
            matter.close()
    return [Path(job.target) for job in jobs]
