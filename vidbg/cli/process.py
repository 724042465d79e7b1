"""`vidbg process`: video files and pictures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidbg.cli import options
from vidbg.errors import ConfigError, SinkError, VidbgError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from vidbg.compositing import CompositingConfig
    from vidbg.frame import StreamInfo
    from vidbg.matting.matter import Matter
    from vidbg.pipeline.jobs import Job
    from vidbg.pipeline.process import OutputConfig


def process(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="Video, picture, folder, glob, or - for stdin.")
    ],
    background: options.Background,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="File, folder, or - for stdout. Default: beside INPUT."
        ),
    ] = None,
    alpha_video: Annotated[
        Path | None, typer.Option(help="Write the matte, too, as a grey video.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Replace existing files.")] = False,
    no: Annotated[bool, typer.Option("--no", "-n", help="Keep existing files, unasked.")] = False,
    fit: options.Fit = "cover",
    offset: options.Offset = 0.0,
    feather: options.Feather = 0.0,
    light_wrap: options.LightWrap = 0.0,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    network_size: options.NetworkSize = None,
    smoothing: options.Smoothing = None,
    refine: options.Refine = True,
    crf: Annotated[int | None, typer.Option(help="Quality, 0 (best) to 51; default 18.")] = None,
    preset: Annotated[str | None, typer.Option(help="x264's speed; default veryfast.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Replace the background of video files and pictures.

    Audio, subtitles and every frame's time are kept. The file appears under its name when it is
    complete.
    """
    from vidbg.compositing.specs import TransparentSpec
    from vidbg.matting.matter import Matter
    from vidbg.pipeline.jobs import plan_jobs
    from vidbg.pipeline.process import OutputConfig, needs_matter
    from vidbg.sinks.formats import Encoding

    if yes and no:
        raise typer.BadParameter("--yes and --no exclude one another")
    compositing = options.compositing_config(background, fit, offset, feather, light_wrap)
    transparent = isinstance(compositing.background, TransparentSpec)
    jobs = plan_jobs(source, output, transparent=transparent)
    if alpha_video is not None and len(jobs) > 1:
        raise ConfigError(f"{len(jobs)} inputs cannot share the alpha video {alpha_video}")
    jobs = _agreed(jobs, alpha_video, yes=yes, no=no)
    if not jobs:
        return
    written = OutputConfig(Encoding(crf, preset), overwrite=True, alpha_video=alpha_video)
    matting = options.matting_config(device, precision, threads, network_size, smoothing, refine)
    matter = Matter(config=matting) if needs_matter(compositing, written) else None
    try:
        _run(jobs, matter, compositing, written, quiet)
    finally:
        if matter is not None:
            matter.close()


def _agreed(jobs: list[Job], alpha_video: Path | None, *, yes: bool, no: bool) -> list[Job]:
    """The jobs whose outputs may be written; asks at a terminal about files that exist.

    Raises:
        SinkError: a file exists and nobody can be asked.
    """
    from vidbg.pipeline.jobs import PIPE

    agreed = []
    for job in jobs:
        targets = [] if job.target == PIPE else [Path(job.target)]
        targets += [alpha_video] if alpha_video else []
        present = [path for path in targets if path.is_file()]
        if yes or not present:
            agreed.append(job)
        elif no:
            typer.echo(f"{present[0]} exists, left as it is", err=True)
        elif not sys.stdin.isatty() or job.source == PIPE:
            raise SinkError(f"{present[0]} exists; -y replaces it, -n leaves it, -o names another")
        elif typer.confirm(f"{present[0]} exists. Replace it?", err=True):
            agreed.append(job)
    return agreed


def _run(
    jobs: list[Job],
    matter: Matter | None,
    compositing: CompositingConfig,
    written: OutputConfig,
    quiet: bool,
) -> None:
    """Every job in turn; of several, one that fails is told and does not stop the others."""
    from vidbg.pipeline.process import process_file

    failed = 0
    for number, job in enumerate(jobs, 1):
        with ProgressBar(f"{number}/{len(jobs)} " if len(jobs) > 1 else "", quiet) as bar:
            try:
                report = process_file(job, matter, compositing, written, bar)
            except VidbgError as error:
                if len(jobs) == 1:
                    raise
                failed += 1
                typer.echo(f"vidbg: {error}", err=True)
                continue
        if not quiet:
            rate = report.frames / report.seconds
            typer.echo(f"{job.target}: {report.frames} frames, {rate:.1f} FPS", err=True)
    if failed:
        raise VidbgError(f"{failed} of {len(jobs)} files failed; the others are done")


class ProgressBar:
    """Frames, rate and time left on standard error."""

    def __init__(self, prefix: str, quiet: bool) -> None:
        self._prefix = prefix
        self._bar: Progress | None = None if quiet else _bar()
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

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


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
