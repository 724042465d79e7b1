"""Outputs of a job: the checks before it starts, and the sinks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidbg.compositing import CompositingConfig
from vidbg.errors import ConfigError, SinkError
from vidbg.option_table import INTERLACED, check_config
from vidbg.pipeline.files.jobs import Job, check_name
from vidbg.pipeline.files.result_names import folded
from vidbg.sinks import PIPE, Sink
from vidbg.sinks.encoding.formats import Encoding, OutputKind, output_kind
from vidbg.sinks.fan_out import FanOutSink
from vidbg.sinks.opaque_sink import OpaqueSink
from vidbg.sources import Source
from vidbg.util.choices import Interlaced
from vidbg.util.paths import is_file, resolved

_NUMBER = re.compile(r"%\d*d")  # of a sequence: frame%05d.png


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """How results are written.

    Attributes:
        encoding: quality and speed of the video encoder.
        overwrite: replace a file that exists (never an input).
        alpha_video: write the matte, too, as a grey video of this name (text is converted).
        interlaced: how interlaced input is handled.
    """

    encoding: Encoding = field(default_factory=Encoding)
    overwrite: bool = False
    alpha_video: Path | None = None
    interlaced: Interlaced = INTERLACED.default

    def __post_init__(self) -> None:
        check_config(self, "output")
        if self.alpha_video is not None:
            check_name(str(self.alpha_video))


def check_jobs(jobs: Sequence[Job], compositing: CompositingConfig, output: OutputConfig) -> None:
    """Refuse outputs that cannot be written, before anything is read.

    No input of any job, nor the background, is a target of any other: a batch would replace it
    before its turn comes. Two targets whose names differ only in upper and lower case count as one,
    because they are one on many file systems.

    Raises:
        ConfigError: a name that cannot hold the result, that is an input itself, or is used twice.
    """
    if output.alpha_video is not None and len(jobs) > 1:
        raise ConfigError(f"{len(jobs)} inputs cannot share the alpha video {output.alpha_video}")
    if output.alpha_video and output_kind(output.alpha_video) is OutputKind.PICTURES:
        raise ConfigError(
            f"the alpha video {output.alpha_video} is not a video; give .mp4, .mov or .mkv"
        )
    inputs = _Inputs(jobs, compositing)
    taken: dict[str, Path] = {}
    for job in jobs:
        transparent = compositing.background.transparent
        if job.target != PIPE:
            output_kind(job.target, alpha=transparent)
        elif transparent:
            raise ConfigError(
                "standard output carries no transparency; give -o NAME.mov, NAME.webm or %05d.png"
            )
        for target in output_names(job, output):
            inputs.check(target, job)
            other = taken.setdefault(folded(target), target)
            if str(other) != str(target):
                raise ConfigError(
                    f"{target} and {other} are one file on many file systems; give names that "
                    "differ more"
                )
            if other is not target:
                raise ConfigError(f"{target} would be written twice; give two names")


class _Inputs:
    """The files that a run reads, recognized under any of their names."""

    def __init__(self, jobs: Sequence[Job], compositing: CompositingConfig) -> None:
        named = [(Path(job.source), "an input of this run") for job in jobs if job.source != PIPE]
        named += [(path, "the background") for path in compositing.background.files]
        if compositing.overlay is not None:
            named.append((compositing.overlay, "the overlay"))
        self._roles: dict[tuple[int, int], str] = {}
        self._folders: dict[Path, list[tuple[Path, str]]] = {}
        for path, role in named:
            with suppress(OSError, ValueError):
                status = path.stat()
                self._roles.setdefault((status.st_dev, status.st_ino), role)
            self._folders.setdefault(resolved(path.absolute().parent), []).append((path, role))

    def check(self, target: Path, job: Job) -> None:
        """Raise ConfigError where writing to the target would replace an input."""
        role = None
        if job.is_sequence:  # frame%05d.png would replace the input frame00007.png
            parts = [re.escape(part) for part in _NUMBER.split(target.name)]
            pattern = re.compile(r"\d+".join(parts), re.IGNORECASE)
            neighbours = self._folders.get(resolved(target.absolute().parent), [])
            role = next((role for path, role in neighbours if pattern.fullmatch(path.name)), None)
        with suppress(OSError, ValueError):  # a target that does not exist is no input
            status = target.stat()
            role = self._roles.get((status.st_dev, status.st_ino), role)
        if role is None:
            return
        # Fails where one does not exist, or has a name that is too long for any file
        with suppress(OSError, ValueError):
            if job.source != PIPE and target.samefile(job.source):
                role = "the input itself"
        raise ConfigError(f"{target} is {role}; give another name or folder for the output")


def output_names(job: Job, output: OutputConfig) -> list[Path]:
    """List the names that a job writes to; a sequence of images has one with a number's place."""
    names = [] if job.target == PIPE else [Path(job.target)]
    return names if output.alpha_video is None else [*names, output.alpha_video]


def existing_outputs(job: Job, output: OutputConfig) -> list[Path]:
    """List the output files of a job that already exist, with every image of a sequence."""
    names = output_names(job, output)
    if job.is_sequence:
        from vidbg.sinks.files.images_sink import numbered_pictures

        names[:1] = numbered_pictures(Path(job.target)).values()
    return [path for path in names if is_file(path)]


def wants_streams(job: Job) -> bool:
    """Return whether the output accepts audio and subtitles."""
    return job.target != PIPE and output_kind(job.target) is not OutputKind.PICTURES


def open_sink(job: Job, source: Source, *, transparent: bool, output: OutputConfig) -> Sink:
    """Open the output of a job, and the alpha video if one is configured.

    Raises:
        ConfigError: this source cannot become such an output.
        SinkError: the output cannot be written.
    """
    if job.makes_folder or job.is_sequence:
        folder = Path(job.target).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise SinkError(
                f"{folder} is a file, and a name without a suffix is a folder for results; give a "
                "name that ends in .mp4, .png or the like"
            ) from error
        except OSError as error:
            raise SinkError(f"the folder {folder} cannot be made: {error.strerror}") from error
    main = _main_sink(job, source, transparent, output)
    if output.alpha_video is None:
        return main
    try:
        mask = _video(output.alpha_video, source, "mask", output)
    except BaseException:
        main.abort()
        raise
    return FanOutSink([main if transparent else OpaqueSink(main), mask])


def _main_sink(job: Job, source: Source, transparent: bool, output: OutputConfig) -> Sink:
    """Open the output that carries the composited frames."""
    if job.target == PIPE:
        from vidbg.sinks.stream.raw_pipe import RawPipeSink

        return RawPipeSink(source.info)
    if output_kind(job.target, alpha=transparent) is OutputKind.PICTURES:
        from vidbg.sinks.files.images_sink import ImagesSink

        path = Path(job.target)
        if not source.info.stills:
            if not job.is_sequence and source.info.frame_count != 1:
                raise ConfigError(
                    f"the frames of a video do not fit into the one picture {path}; give a name "
                    f"with a number, such as {path.stem}%05d{path.suffix}"
                )
            return ImagesSink(path, alpha=transparent, overwrite=output.overwrite)
        if not path.parent.is_dir():
            raise SinkError(f"there is no folder {path.parent} for {path.name}; create it first")
        # by folder and name: a "%" in an image's name is not a number
        return ImagesSink(
            path.parent,
            names=[path.stem],
            suffix=path.suffix,
            alpha=transparent,
            overwrite=output.overwrite,
        )
    return _video(Path(job.target), source, "transparent" if transparent else "opaque", output)


def _video(path: Path, source: Source, content: Any, output: OutputConfig) -> Sink:
    """Open a video file; `content` is "opaque", "transparent" or "mask"."""
    from vidbg.sinks.files.video_file_sink import VideoFileSink

    if source.info.stills and content == "mask":
        raise ConfigError(f"a picture has no alpha video {path}; -b transparent keeps its alpha")
    if source.info.stills:
        raise ConfigError(f"a picture cannot become the video {path}; give a picture's name")
    return VideoFileSink(
        path,
        source.info,
        content=content,
        encoding=output.encoding,
        relay=None if content == "mask" else getattr(source, "relay", None),
        overwrite=output.overwrite,
    )
