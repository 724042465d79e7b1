"""Plan of the files to process: one job each."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidbg.errors import ConfigError
from vidbg.pipeline.files.result_names import distinct_names, result_name
from vidbg.pipeline.media_files import media_in, visible_in
from vidbg.sinks import PIPE
from vidbg.sinks.encoding.formats import CONTAINERS
from vidbg.sinks.encoding.formats import PICTURE_SUFFIXES as WRITTEN_PICTURES
from vidbg.sources.files.images_source import is_picture
from vidbg.util.paths import exists, is_folder, resolved

SUFFIX_ADDED = "_vidbg"


@dataclass(frozen=True, slots=True)
class Job:
    """One input and its output file; either may be "-" for standard input or output.

    Attributes:
        makes_folder: create the target's folder if it does not exist.
    """

    source: str
    target: str
    makes_folder: bool = False

    @property
    def is_sequence(self) -> bool:
        """Whether the target is an image sequence, such as frame%05d.png."""
        written = Path(self.target).suffix.lower() in WRITTEN_PICTURES
        return written and "%" in Path(self.target).name and not is_picture(Path(self.source))


def check_name(name: str) -> None:
    """Refuse a name that no file can have.

    Raises:
        ConfigError: it has a null character.
    """
    if "\0" in name:
        raise ConfigError(f"the name {name!r} has a null character, which no file's name can have")


def plan_jobs(source: str | Sequence[str], output: str | None, *, transparent: bool) -> list[Job]:
    """Plan one job per file of an input: a file, a folder, a glob pattern or several of these.

    Without an output, the result goes next to its input: `talk.mp4` becomes `talk_vidbg.mp4`, the
    folder `clips` becomes `clips_vidbg`. An output that exists as a folder, ends in "/" or has no
    suffix is a folder for results; `%05d.png` is an image sequence.

    Args:
        source: a file, a folder, a glob pattern or "-"; or several, without "-".
        output: a file, a folder, "-", or None.
        transparent: results carry alpha, which decides their suffixes.
    Raises:
        SourceError: nothing matches.
        ConfigError: an empty name, several inputs for one output file, standard input without an
            output name or as one of several.
    """
    sources = [source] if isinstance(source, str) else list(source)
    if not sources or not all(name.strip() for name in sources):
        raise ConfigError(
            "an INPUT is empty; give a file, a folder, a pattern or - (is $FILE set?)"
        )
    for name in [*sources, output or ""]:
        check_name(name)
    if output is not None and Path(output).name.lower() in (*CONTAINERS, *WRITTEN_PICTURES):
        named = Path(output).with_name(f"result{Path(output).name}")
        raise ConfigError(
            f"the output {output} has a suffix but no name; give one, such as {named}"
        )
    if output is not None and not output.strip():
        raise ConfigError("the output is empty; give a file, a folder or - (is $FILE set?)")
    if len(sources) == 1:
        return _jobs_of(sources[0], output, transparent)
    if PIPE in sources:
        raise ConfigError("- (standard input) cannot be one of several inputs; give it alone")
    if output is not None and (output == PIPE or not _is_folder(output)):
        raise ConfigError(
            f"{len(sources)} inputs cannot all become {output}; give a folder, with / at its end"
        )
    files: list[Path] = []
    jobs: list[Job] = []
    for name in sources:
        if output is None and is_folder(name):  # becomes a folder of its own
            jobs += _jobs_of(name, None, transparent)
        else:
            files += _files_of(name)
    once = {path.absolute(): path for path in files}
    return [*_batch([*once.values()], output, transparent), *jobs]


def _files_of(source: str) -> list[Path]:
    """List the files that an input refers to. A file named directly may be of any type.

    Raises:
        SourceError: a folder or pattern has no images or videos.
    """
    path = Path(source)
    if is_folder(path):
        return media_in(visible_in(path), source)
    if not exists(path) and glob.has_magic(source):
        # pathlib's glob takes no absolute pattern
        matches = glob.glob(source, recursive=True)  # noqa: PTH207
        return media_in(sorted(Path(match) for match in matches), source)
    return [path]


def _jobs_of(source: str, output: str | None, transparent: bool) -> list[Job]:
    """Plan the jobs of one input."""
    if source == PIPE:
        if output is None or (output != PIPE and _is_folder(output)):
            raise ConfigError(
                "standard input has no name to call the output by; give --output NAME"
            )
        return [Job(PIPE, output)]
    path = Path(source)
    if is_folder(path):
        named = path if path.name not in ("", "..") else resolved(path)
        return _batch(_files_of(source), output or f"{named}{SUFFIX_ADDED}", transparent)
    if not exists(path) and glob.has_magic(source):
        return _batch(_files_of(source), output, transparent)
    if output is None:
        target = path.with_name(result_name(path, transparent, SUFFIX_ADDED))
        return [Job(source, str(target))]
    if output != PIPE and _is_folder(output):
        target = Path(output) / result_name(path, transparent)
        return [Job(source, str(target), makes_folder=True)]
    return [Job(source, output)]


def _batch(paths: list[Path], output: str | None, transparent: bool) -> list[Job]:
    """Plan a job per file, with results in the output's folder or next to the files."""
    if output is not None and (output == PIPE or not _is_folder(output)):
        raise ConfigError(
            f"{len(paths)} files cannot all become {output}; give a folder, with / at its end"
        )
    added = "" if output else SUFFIX_ADDED
    wanted = [
        (Path(output) if output else path.parent) / result_name(path, transparent, added)
        for path in paths
    ]
    jobs = [
        Job(str(path), str(target), makes_folder=output is not None)
        for path, target in zip(paths, distinct_names(paths, wanted), strict=True)
    ]
    # Next to their inputs, results of an earlier run are not inputs of this one
    results = {job.target for job in jobs}
    return [job for job in jobs if output or job.source not in results]


def _is_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or is_folder(output) or not Path(output).suffix
