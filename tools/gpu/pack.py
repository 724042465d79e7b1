"""Pack what the machine needs besides the checkout into folders that each fit one command."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from tools.gpu.lean import folder_bytes, tree_bytes
from tools.gpu.limits import CARRIED_BYTES, stored_bytes
from tools.gpu.plan import DATA, ENGINES, TENSORRT
from training.tools import shards
from training.tools.file_parts import Part, split, write_list
from vidbg.errors import ConfigError
from vidbg.frame import Image
from vidbg.matting.engines import engine_folder

SPARE_BYTES = CARRIED_BYTES // 20
"""For files of the checkout that grow between packing and the last command, and for bytes that are
counted there in another way."""

CLIP_FRAMES, CLIP_QUALITY = 60, 80
"""WebP: both sides read the same files, so the codec's loss is no difference between them."""

WEIGHTS, GRAPHS = "weights.tar.gz", "graphs.tar.xz"
LIGHT = "vidbg-light.safetensors"
TENSORRT_PACKAGES = ("tensorrt-rtx-cu13-libs", "tensorrt-rtx-cu13-bindings")
TENSORRT_VERSION = "1.7.1.116"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64")


def room(root: Path) -> int:
    """Bytes that the lean checkout leaves for a command's parts."""
    return CARRIED_BYTES - tree_bytes(root, lean=True) - SPARE_BYTES


def pack(
    carry: Path,
    limit: int,
    data: Path,
    *,
    light: Path | None = None,
    clip: Path | None = None,
    wheels: Path | None = None,
) -> dict[str, int]:
    """Write all parts anew.

    Args:
        carry: the folder for the parts, emptied first.
        limit: bytes of a part; see `room`.
        data: a folder with `train` and `val`, picture sets each, and, if there are any, cut-outs in
            `objects` and people without masks in `unlabelled`.
        light: weights of the light network to measure and to go on from, in place of those that
            ship.
        clip: a video whose first frames are the test pictures; None: drawn ones are.
        wheels: a folder with TensorRT's wheels for the machine's Python; None: it is left out.
    Returns:
        Bytes of each part by its name.
    Raises:
        ConfigError: something is missing, or a part is too large.
    """
    for name in ("train", "val"):
        if not (data / name).is_dir():
            raise ConfigError(f"{data / name} is missing; --data needs the folders train and val")
    shutil.rmtree(carry, ignore_errors=True)
    _pack_engines(carry / ENGINES, light, clip)
    _pack_data(carry, data, limit)
    if wheels is not None:
        _pack_wheels(carry, wheels, limit)
    sizes = {part.name: folder_bytes(part) for part in sorted(carry.iterdir())}
    for name, size in sizes.items():
        if size > limit:
            raise ConfigError(f"part {name} has {size} bytes; a command has room for {limit}")
    return sizes


def _pack_engines(part: Path, light: Path | None, clip: Path | None) -> None:
    """Pack the weights and graphs; what OpenVINO alone reads stays here."""
    part.mkdir(parents=True)
    weights = {path.name: path for path in engine_folder().glob("*.safetensors")}
    if light is not None:
        weights[LIGHT] = light
    # gzip takes a twelfth off the weights; xz makes 150 KB of 3 MB of graphs, but unpacks slowly
    with tarfile.open(part / WEIGHTS, "w:gz", compresslevel=6) as tar:
        for name, path in sorted(weights.items()):
            tar.add(path, name)
    with tarfile.open(part / GRAPHS, "w:xz") as tar:
        for path in sorted(engine_folder().glob("*.onnx")):
            tar.add(path, path.name)
    if clip is not None:
        for index, image in enumerate(islice(_pictures(clip), CLIP_FRAMES)):
            settings = [cv2.IMWRITE_WEBP_QUALITY, CLIP_QUALITY]
            cv2.imwrite(str(part / f"frame-{index:03d}.webp"), image, settings)


def _pictures(clip: Path) -> Iterator[Image]:
    video = cv2.VideoCapture(str(clip))
    try:
        while (frame := video.read())[0]:
            yield np.asarray(frame[1], np.uint8)
    finally:
        video.release()


def _pack_data(carry: Path, data: Path, limit: int) -> None:
    """Shards of the folders, one after the other into as few parts as hold them."""
    made = carry.parent / "shards"
    shutil.rmtree(made, ignore_errors=True)
    used, number = limit, -1
    for name in ("train", "val", "objects", "unlabelled"):
        if not (data / name).is_dir():
            continue
        packed = shards.pack(data / name, made / name, limit - 64 * 1024)
        for shard in packed:
            if used + stored_bytes(shard.bytes) > limit - 32 * 1024:
                used, number = 0, number + 1
            folder = carry / f"{DATA}-{number}" / name
            folder.mkdir(parents=True, exist_ok=True)
            (made / name / shard.name).rename(folder / shard.name)
            shutil.copy(made / name / shards.SHARDS, folder)
            used += stored_bytes(shard.bytes) + 16 * 1024
    shutil.rmtree(made)


def _pack_wheels(carry: Path, wheels: Path, limit: int) -> None:
    """Pack the wheels in as few parts as fit one command each."""
    files = sorted(wheels.glob("*.whl"))
    if not files:
        raise ConfigError(f"no wheels in {wheels}; `python -m tools.gpu wheels` fetches them")
    archive = Path(shutil.make_archive(str(carry.parent / "wheels"), "tar", wheels))
    pieces = split(archive, carry.parent / "pieces", limit - 64 * 1024)
    for number, piece in enumerate(pieces):
        folder = carry / f"{TENSORRT}-{number}"
        folder.mkdir(parents=True)
        (carry.parent / "pieces" / piece.name).rename(folder / piece.name)
        write_list(folder / "parts.json", pieces)
    shutil.rmtree(carry.parent / "pieces")
    archive.unlink()


def fetch_wheels(folder: Path, python: str = "3.12") -> list[Part]:
    """Download TensorRT for RTX as wheels for the machine's Python."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
    command += [str(folder), "--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", python]
    command += [word for name in PLATFORMS for word in ("--platform", name)]
    command += [f"{name}=={TENSORRT_VERSION}" for name in TENSORRT_PACKAGES]
    subprocess.run(command, check=True)
    return [Part.of(path) for path in sorted(folder.glob("*.whl"))]
