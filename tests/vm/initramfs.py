"""The archive that the kernel starts from: busybox, init, and the modules in order of need."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from vm.cache import Cache

INIT = Path(__file__).parent / "guest" / "init"
BOOT = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
"""For the host's files; those that are not there are built into the kernel."""
CAMERAS = ("vivid", "videodev")


def write_initramfs(cache: Cache, version: str, folder: Path) -> Path:
    """Make the archive for one version of v4l2loopback, in a folder of its own."""
    tree = folder / "initramfs"
    (tree / "modules").mkdir(parents=True)
    (tree / "bin").mkdir()
    shutil.copy(shutil.which("busybox") or "/bin/busybox", tree / "bin/busybox")
    shutil.copy(INIT, tree / "init")
    (tree / "init").chmod(0o755)
    shutil.copy(cache.loopback(version), tree / "modules")
    modules = {_name(file): file for file in cache.kernel_modules.rglob("*.ko")}
    boot = in_order(BOOT, modules)
    cameras = [file for file in in_order(CAMERAS, modules) if file not in boot]
    for name, files in (("boot", boot), ("cameras", cameras)):
        for file in files:
            shutil.copy(file, tree / "modules")
        (tree / "modules" / name).write_text("".join(f"{file.name}\n" for file in files))
    archive = folder / "initramfs.gz"
    archive.write_bytes(gzip.compress(_cpio(tree), 1))
    return archive


def in_order(names: Iterable[str], modules: dict[str, Path]) -> list[Path]:
    """Return the files of modules, each after those it depends on."""
    ordered: list[Path] = []
    for name in names:
        if (file := modules.get(name)) is not None:
            needed = [*in_order(_dependencies(file), modules), file]
            ordered += [other for other in needed if other not in ordered]
    return ordered


def _name(file: Path) -> str:
    return file.stem.replace("-", "_")


def _dependencies(module: Path) -> Iterator[str]:
    """From the module itself: the package has no modules.dep before it is installed."""
    for field in module.read_bytes().split(b"\0"):
        if field.startswith(b"depends="):
            yield from filter(None, field[8:].decode().replace("-", "_").split(","))
            return


def _cpio(tree: Path) -> bytes:
    names = [os.path.relpath(path, tree) for path in sorted(tree.rglob("*"))]
    command = ["busybox", "cpio", "--create", "--format", "newc"]
    files = "\n".join(names).encode()
    return subprocess.run(command, cwd=tree, input=files, check=True, capture_output=True).stdout
