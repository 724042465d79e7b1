"""Carry image sets and weights in files of a limited size: `python -m training.tools.shards`.

::

    pack     write image sets as tar files and a list of them, shards.json
    unpack   check tar files against the list and restore the folders that training reads
    missing  name the tar files that were not unpacked yet
    split    cut any file into parts, with a list of them, parts.json
    join     check the parts against the list and join them

A list is JSON: `name`, `bytes` and `sha256` of each file beside it. A megabyte is 1,000,000 bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from training.command_line import run as run_command
from training.data.image_sets import ImageSet, Sample, find_sets, read_sample
from training.tools.file_parts import (
    Part,
    join,
    read_list,
    require_all,
    split,
    write_json,
    write_list,
)
from vidbg.errors import ConfigError

SHARDS = "shards.json"
UNPACKED = "unpacked.json"
"""File in the folder of the images: name to sha256 of each shard that was unpacked there."""

MEGABYTE = 1_000_000
JPEG_QUALITY = 92

Files = list[tuple[str, bytes]]
"""Paths below the packed folder, with `/`, and the content of the files."""


def pack(data: Path, out: Path, limit: int, max_side: int | None = None) -> list[Part]:
    """Write the image sets and tables (*.csv) below a folder as tar files.

    The same images give the same bytes. An image and its mask are in the same tar file, so every
    tar file contains complete sets.

    Args:
        data: a folder as `find_sets` takes it.
        out: the folder to write to; it must not hold shards of an earlier call.
        limit: maximum size of a tar file in bytes.
        max_side: larger images are made smaller, so that the longer side has so many pixels:
            JPEG of quality 92, PNG where there is alpha, the mask to the image's size. All
            others keep their bytes.
    Raises:
        ConfigError: `out` holds shards, an image is larger than a shard, two files have one
            name, or the sets cannot be read.
    """
    if any(out.glob("*.tar")):
        raise ConfigError(f"{out} already holds shards; give an empty folder")
    out.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, files in enumerate(_fill(_groups(data, max_side), limit)):
        path = out / f"data-{number:03d}.tar"
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            for name, content in files:
                tar.addfile(_header(name, content), io.BytesIO(content))
        parts.append(Part.of(path))
    write_list(out / SHARDS, parts)
    return parts


def _groups(data: Path, max_side: int | None) -> Iterator[Files]:
    """Yield files that belong together: a table, or an image with its mask."""
    taken: set[str] = set()
    for files in _all_groups(data, max_side):
        for name, _ in files:
            if name in taken:
                raise ConfigError(f"two files below {data} would be {name}; rename one")
            taken.add(name)
        yield files


def _all_groups(data: Path, max_side: int | None) -> Iterator[Files]:
    for path in sorted(data.rglob("*.csv")):
        yield [(path.relative_to(data).as_posix(), path.read_bytes())]
    for image_set in find_sets(data):
        for sample in image_set.samples:
            files = None if max_side is None else _smaller(image_set, sample, max_side)
            paths = [path for path in (sample.image, sample.mask) if path is not None]
            kept = [(path, path.read_bytes()) for path in paths]
            yield [(path.relative_to(data).as_posix(), b) for path, b in files or kept]


def _smaller(image_set: ImageSet, sample: Sample, max_side: int) -> list[tuple[Path, bytes]] | None:
    """Encode the sample at a smaller size; None if no side is longer than `max_side`."""
    image, mask = read_sample(sample)
    height, width = mask.shape
    scale = max_side / max(height, width)
    if scale >= 1:
        return None
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)
    if image_set.cutouts:
        return [_encoded(sample.image, ".png", np.dstack([image, mask]))]
    photo = _encoded(sample.image, ".jpg", image)
    return [photo] if sample.mask is None else [photo, _encoded(sample.mask, ".png", mask)]


def _encoded(path: Path, suffix: str, image: NDArray[np.uint8]) -> tuple[Path, bytes]:
    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix == ".jpg" else []
    _, data = cv2.imencode(suffix, image, settings)
    return path.with_suffix(suffix), data.tobytes()


def _fill(groups: Iterable[Files], limit: int) -> Iterator[Files]:
    """Collect groups in their order up to the limit."""
    ending = 2 * tarfile.RECORDSIZE  # two blocks of zeros, then up to a whole record
    shard: Files = []
    size = ending
    for files in groups:
        headers = sum(len(_header(*file).tobuf(tarfile.PAX_FORMAT)) for file in files)
        blocks = sum(-(-len(content) // tarfile.BLOCKSIZE) for _, content in files)
        more = headers + blocks * tarfile.BLOCKSIZE
        if more + ending > limit:
            raise ConfigError(f"{files[0][0]} takes {more} bytes; a shard has at most {limit}")
        if size + more > limit:
            yield shard
            shard, size = [], ending
        shard += files
        size += more
    yield shard


def _header(name: str, content: bytes) -> tarfile.TarInfo:
    """Make a header without time and owner, so that the same files give the same shard."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    return header


def unpack(shard: Path, out: Path) -> None:
    """Restore the files of one shard below `out`; existing files are written again.

    Raises:
        ConfigError: the list beside the shard does not name it, the shard is damaged, or it would
            write outside `out`.
    """
    parts = {part.name: part for part in read_list(shard.parent / SHARDS)}
    if shard.name not in parts:
        raise ConfigError(f"{shard.parent / SHARDS} names {sorted(parts)}, not {shard.name}")
    parts[shard.name].found_in(shard.parent)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(shard, "r:") as tar:
            tar.extractall(out, filter="data")
    except tarfile.TarError as error:
        raise ConfigError(f"{shard} is not a shard: {error}") from None
    done = _unpacked(out) | {shard.name: parts[shard.name].sha256}
    write_json(out / UNPACKED, done)


def _unpacked(out: Path) -> dict[str, str]:
    path = out / UNPACKED
    done: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return done


def unpack_all(shards: Path, out: Path) -> None:
    """Restore every shard of a list.

    Raises:
        ConfigError: as `unpack`; if a shard is missing, before anything is written.
    """
    parts = read_list(shards / SHARDS)
    require_all(shards, parts)
    for part in parts:
        unpack(shards / part.name, out)


def missing(shards: Path, out: Path) -> list[str]:
    """Return the names of the listed shards that have not been unpacked into `out`."""
    done = _unpacked(out)
    return [part.name for part in read_list(shards / SHARDS) if done.get(part.name) != part.sha256]


app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
LimitMb = Annotated[float, typer.Option(min=0.1, help="Megabytes that no file exceeds.")]


@app.command("pack")
def pack_command(
    data: Annotated[Path, typer.Option(help="Folder with image sets.")],
    out: Annotated[Path, typer.Option(help="Folder for the shards.")] = Path("shards"),
    limit_mb: LimitMb = 60,
    max_side: Annotated[
        int | None, typer.Option(min=32, help="Longest side of an image; larger ones are reduced.")
    ] = None,
) -> None:
    """Write image sets as tar files."""
    for part in pack(data, out, int(limit_mb * MEGABYTE), max_side):
        typer.echo(f"{out / part.name}: {part.bytes / MEGABYTE:.1f} MB")


@app.command("unpack")
def unpack_command(
    out: Annotated[Path, typer.Option(help="Folder for the image sets.")],
    shard: Annotated[list[Path] | None, typer.Argument(help="Tar files.")] = None,
    shards: Annotated[Path | None, typer.Option(help="All that its list names.")] = None,
) -> None:
    """Restore folders from tar files; repeating it does no harm."""
    if (shards is None) == (not shard):
        raise typer.BadParameter("give tar files, or --shards FOLDER for all of them")
    if shards is not None:
        unpack_all(shards, out)
    for path in shard or []:
        unpack(path, out)


@app.command("missing")
def missing_command(
    shards: Annotated[Path, typer.Option(help="Folder with the list.")],
    out: Annotated[Path, typer.Option(help="Folder that was unpacked into.")],
) -> None:
    """Name the shards that were not unpacked yet, one per line."""
    for name in missing(shards, out):
        typer.echo(name)


@app.command("split")
def split_command(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="Folder for the parts.")],
    limit_mb: LimitMb = 15,
) -> None:
    """Cut a file into parts."""
    for part in split(file, out, int(limit_mb * MEGABYTE)):
        typer.echo(f"{out / part.name}: {part.bytes / MEGABYTE:.1f} MB")


@app.command("join")
def join_command(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option(help="The file to write.")],
) -> None:
    """Join parts into their file."""
    join(folder, out)


if __name__ == "__main__":
    run_command(app)
