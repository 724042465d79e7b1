"""Which files are to be processed, and what each result is called."""

from __future__ import annotations

import glob
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from vidbg.errors import ConfigError, SourceError
from vidbg.sinks.formats import CONTAINERS
from vidbg.sinks.formats import PICTURE_SUFFIXES as WRITTEN_PICTURES
from vidbg.sources.images import PICTURE_SUFFIXES

PIPE = "-"

VIDEO_SUFFIXES = (
    ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg",
    ".mts", ".ogv", ".ts", ".webm", ".wmv", ".y4m",
)  # fmt: skip
"""What is taken for a video in a folder; a file that is named alone is tried whatever its name."""

SUFFIX_ADDED = "_vidbg"


@dataclass(frozen=True, slots=True)
class Job:
    """One file to be made of another; either may be "-", standard input and output."""

    source: str
    target: str


def plan_jobs(source: str, output: str | None, *, transparent: bool) -> list[Job]:
    """One job for a file, one a file for a folder or a glob pattern.

    Without an output the result goes beside its input: `talk.mp4` becomes `talk_vidbg.mp4`, the
    folder `clips` becomes `clips_vidbg`.

    Args:
        source: a file, a folder, a glob pattern or "-".
        output: a file, a folder (one that exists, or with "/" at its end), "-", or None.
        transparent: results carry alpha, which decides their suffixes.
    Raises:
        SourceError: nothing matches.
        ConfigError: several inputs for one output file, or standard input without an output.
    """
    if source == PIPE:
        if output is None:
            raise ConfigError("standard input has no name to call the output by; give --output")
        return [Job(PIPE, output)]
    path = Path(source)
    if path.is_dir():
        folder = output or f"{path.resolve()}{SUFFIX_ADDED}"
        return _batch(_media_in(sorted(path.iterdir()), source), folder, transparent)
    if not path.exists() and glob.has_magic(source):
        # pathlib's glob takes no absolute pattern
        found = glob.glob(source, recursive=True)  # noqa: PTH207
        matches = sorted(Path(match) for match in found)
        return _batch(_media_in(matches, source), output, transparent)
    return [Job(source, _single_target(path, output, transparent))]


def _media_in(paths: list[Path], source: str) -> list[Path]:
    known = {*PICTURE_SUFFIXES, *VIDEO_SUFFIXES}
    media = [p for p in paths if p.is_file() and p.suffix.lower() in known]
    if not media:
        raise SourceError(
            f"no pictures or videos in {source!r}; known are {', '.join(sorted(known))}"
        )
    return media


def _single_target(path: Path, output: str | None, transparent: bool) -> str:
    if output is None:
        return str(path.with_name(_result_name(path, transparent, SUFFIX_ADDED)))
    if output != PIPE and path.suffix.lower() in PICTURE_SUFFIXES and _is_folder(output):
        return str(Path(output) / _result_name(path, transparent))
    if output != PIPE and Path(output).is_dir():
        return str(Path(output) / _result_name(path, transparent))
    return output


def _batch(paths: list[Path], output: str | None, transparent: bool) -> list[Job]:
    if output is not None and not _is_folder(output):
        raise ConfigError(
            f"{len(paths)} files cannot all become {output}; give a folder, with / at its end"
        )
    names = [_result_name(path, transparent, "" if output else SUFFIX_ADDED) for path in paths]
    counts = Counter(names)
    jobs = []
    for path, name in zip(paths, names, strict=True):
        if counts[name] > 1:  # a.jpg and a.png would both become a.png
            name = f"{path.stem}_{path.suffix[1:]}{Path(name).suffix}"
        jobs.append(Job(str(path), str((Path(output) if output else path.parent) / name)))
    return jobs


def _result_name(path: Path, transparent: bool, added: str = "") -> str:
    suffix = path.suffix.lower()
    if suffix in PICTURE_SUFFIXES:
        keeps = suffix in WRITTEN_PICTURES and not (transparent and suffix in (".jpg", ".jpeg"))
        return f"{path.stem}{added}{path.suffix if keeps else '.png'}"
    if transparent:
        return f"{path.stem}{added}{suffix if suffix == '.webm' else '.mov'}"
    return f"{path.stem}{added}{suffix if suffix in CONTAINERS else '.mp4'}"


def _is_folder(output: str) -> bool:
    return output.endswith("/") or Path(output).is_dir() or not Path(output).suffix
