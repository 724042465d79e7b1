"""`vidbg process`: video files and images."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidbg.cli import options
from vidbg.errors import SinkError, VidbgError
from vidbg.platform.memory import require_addresses

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from vidbg.frame import StreamInfo
    from vidbg.pipeline.files.file_outputs import OutputConfig
    from vidbg.pipeline.files.jobs import Job
    from vidbg.pipeline.files.process import Processor
    from vidbg.pipeline.files.stream import StreamReport


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
    from vidbg.pipeline.files.file_outputs import (
        OutputConfig,
        check_jobs,
        existing_outputs,
    )
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
    from vidbg.pipeline.files.jobs import PIPE

    present = existing_outputs(job, written)
    if not present:
        return True
    if keep:
        typer.echo(f"{present[0]} exists, left as it is", err=True)
        return False
    if not sys.stdin.isatty() or job.source == PIPE:
        raise SinkError(f"{present[0]} exists; -y replaces it, -n leaves it, -o names another")
    try:
        return typer.confirm(f"{present[0]} exists. Replace it?", err=True)
    except typer.Abort:  # Ctrl-C at the question
        raise KeyboardInterrupt from None


def _process_jobs(jobs: list[Job], processor: Processor, quiet: bool) -> None:
    """Run each job in turn; if one of several fails, report it and continue with the others."""
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
                typer.echo(_report_line(job, report), err=True)
    if failed:
        rest = "; the others are done" if failed < len(jobs) else ""
        raise VidbgError(f"{failed} of {len(jobs)} files failed{rest}")


def _report_line(job: Job, report: StreamReport) -> str:
    name = "standard output" if job.target == "-" else job.target
    if report.frames == 1:
        return name
    return f"{name}: {report.frames} frames, {report.frames / report.seconds:.1f} FPS"


LONG_S, SETTLED_S = 30.0, 5.0
"""Time left from which a faster quality is mentioned, and how long the rate is measured first."""


class ProgressBar:
    """Progress bar on standard error with frames, rate and time left.

    If much time is left, it says once what the quality "fast" would take.

    Args:
        fast_share: estimates the time of that quality, as a share of the current time.
    """

    def __init__(self, prefix: str, quiet: bool, fast_share: Callable[[], float | None]) -> None:
        self._prefix, self._fast_share = prefix, fast_share
        self._reported = False
        self._bar: Progress | None = None if quiet or not sys.stderr.isatty() else _bar()
        self._task: TaskID | None = None

    def started(self, job: Job, info: StreamInfo) -> None:
        if self._bar is not None and not info.stills:
            total = info.frame_count
            if total is None and info.duration_s and info.frame_rate:
                total = round(info.duration_s * info.frame_rate)
            name = Path(job.source).name if job.source != "-" else "standard input"
            self._task = self._bar.add_task(self._prefix + name, total=total)
            self._bar.start()

    def advanced(self, frames: int) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=frames)
            self._mention_fast(self._bar)

    def _mention_fast(self, bar: Progress) -> None:
        task = bar.tasks[0]
        left_s = task.time_remaining
        if self._reported or left_s is None or (task.elapsed or 0.0) < SETTLED_S:
            return
        self._reported = True
        share = self._fast_share() if left_s >= LONG_S else None
        if share is not None:
            bar.console.print(
                f"{_in_words(left_s)} left; --quality fast would take {_in_words(share * left_s)}, "
                "with coarser edges"
            )

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._bar is None or self._task is None:
            return
        if kind is None:  # the length was estimated
            self._bar.update(self._task, total=self._bar.tasks[0].completed)
        self._bar.stop()


def _in_words(seconds: float) -> str:
    """Say a duration as people do: about 40 s, about 3 min, about 2.5 h."""
    if seconds < 90:
        return f"about {max(1, round(seconds)):d} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class FpsColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:5.1f} FPS" if task.speed else "")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        FpsColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
