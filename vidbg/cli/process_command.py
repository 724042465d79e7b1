"""`vidbg process`: video files and images."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidbg.cli import options
from vidbg.cli.progress_bar import ProgressBar
from vidbg.errors import SinkError, VidbgError
from vidbg.platform.memory import require_addresses

if TYPE_CHECKING:
    from vidbg.pipeline.files.file_outputs import OutputConfig
    from vidbg.pipeline.files.jobs import Job
    from vidbg.pipeline.files.process import Processor


@options.takes_options("process")
def process(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", help="Videos, images, folders, patterns; or - for standard input."
        ),
    ],
    **params: Any,
) -> None:
    """Replace the background of video files and images.

    Audio, subtitles and every frame's time are kept. A file appears when complete.
    """
    require_addresses()
    from vidbg.pipeline.files.file_outputs import OutputConfig, check_jobs, existing_outputs
    from vidbg.pipeline.files.jobs import plan_jobs
    from vidbg.pipeline.files.process import Processor
    from vidbg.sinks.encoding.formats import Encoding

    replaces, keeps = params["yes"], params["no"]
    if replaces and keeps:
        raise typer.BadParameter("--yes and --no exclude one another")
    # The configs, which check their values
    compositing = options.compositing_config("process", params)
    picture = options.picture_config("process", params)
    matting = options.matting_config("process", params)
    encoding = Encoding(**options.values_for("encoding", "process", params))
    written = OutputConfig(encoding, **options.values_for("output", "process", params))
    # What becomes what; nothing is opened before all of it has been checked
    jobs = plan_jobs(sources, params["output"], transparent=compositing.background.transparent)
    check_jobs(jobs, compositing, written)
    jobs = [job for job in jobs if replaces or _agreed(job, written, keep=keeps)]
    agreed = any(existing_outputs(job, written) for job in jobs)
    written = replace(written, overwrite=replaces or agreed)
    with Processor(compositing, written, matting, picture) as processor:
        _process_jobs(jobs, processor, params["quiet"])


def _agreed(job: Job, written: OutputConfig, *, keep: bool) -> bool:
    """Return whether the outputs may be written; at a terminal, ask before overwriting.

    Raises:
        SinkError: a file exists and nobody can be asked.
    """
    from vidbg.pipeline.files.file_outputs import existing_outputs
    from vidbg.sinks import PIPE

    present = existing_outputs(job, written)
    if not present:
        return True
    if keep:
        typer.echo(f"{present[0]} exists and is left as it is", err=True)
        return False
    if not sys.stdin.isatty() or job.source == PIPE:
        raise SinkError(f"{present[0]} exists; -y replaces it, -n leaves it, -o names another")
    try:
        return typer.confirm(f"{present[0]} exists. Replace it?", err=True)
    except typer.Abort:  # Ctrl-C at the question
        raise KeyboardInterrupt from None


def _process_jobs(jobs: list[Job], processor: Processor, quiet: bool) -> None:
    """Run each job in turn; if one of several fails, report it and continue with the others."""
    from vidbg.sinks import PIPE

    failed = 0
    for number, job in enumerate(jobs, 1):
        try:
            prefix = f"{number}/{len(jobs)} " if len(jobs) > 1 else ""
            with ProgressBar(prefix, quiet, processor.fast_share) as bar:
                report = processor(job, bar)
        except VidbgError as error:
            if len(jobs) == 1:
                raise
            failed += 1
            typer.echo(f"vidbg: {error}", err=True)
        else:
            if not quiet:
                line = "standard output" if job.target == PIPE else job.target
                if report.frames != 1:
                    rate = report.frames / report.seconds
                    line += f": {report.frames} frames, {rate:.1f} FPS"
                typer.echo(line, err=True)
    if failed:
        rest = "; the others are done" if failed < len(jobs) else ""
        raise VidbgError(f"{failed} of {len(jobs)} files failed{rest}")
