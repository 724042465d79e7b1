"""Progress bar of `vidbg process`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from vidbg.frame import StreamInfo
    from vidbg.pipeline.files.jobs import Job

LONG_S, SETTLED_S = 30.0, 5.0
"""Time left from which a faster quality is mentioned, and how long the rate is measured first."""


class ProgressBar:
    """Progress bar on standard error with frames, rate and time left.

    If much time is left, it says once what the quality "fast" would take.

    Args:
        prefix: goes before the file's name.
        quiet: show nothing, as if standard error were no terminal.
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
        if self._bar is None or self._task is None:
            return
        self._bar.update(self._task, completed=frames)
        # Mention the faster quality once, as soon as the estimate has settled
        task = self._bar.tasks[0]
        left_s = task.time_remaining
        if self._reported or left_s is None or (task.elapsed or 0.0) < SETTLED_S:
            return
        self._reported = True
        share = self._fast_share() if left_s >= LONG_S else None
        if share is not None:
            self._bar.console.print(
                f"{in_words(left_s)} left; --quality fast would take {in_words(share * left_s)}, "
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


def in_words(seconds: float) -> str:
    """Say a duration as people do: about 40 s, about 3 min, about 2.5 h."""
    if seconds < 90:
        return f"about {max(1, round(seconds)):d} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def _bar() -> Progress:
    """Return an empty progress bar on standard error."""
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
