"""Make the checkout small for a while by moving its large files to an ignored folder.

Every tracked file is sent to the machine, so they are moved, not copied. A journal is written
before the first file moves, so `restore` can put all of them back, whatever happens.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tools.gpu.limits import stored_bytes
from training.tools.file_parts import write_json
from vidbg.errors import ConfigError

LARGE_BYTES = 64 * 1024
ASIDE, JOURNAL = ".gpu/aside", ".gpu/aside.json"
GUARD_S = 30 * 60
"""After which the guard puts everything back by itself."""


def travelling(root: Path) -> list[Path]:
    """Files of a checkout that travel: tracked or not ignored, and there; below `root`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, capture_output=True, check=True,
    ).stdout  # fmt: skip
    names = sorted({Path(os.fsdecode(name)) for name in listed.split(b"\0") if name})
    return [name for name in names if os.path.lexists(root / name)]


def is_large(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > LARGE_BYTES


def tree_bytes(root: Path, *, lean: bool) -> int:
    """Return what the checkout adds to every command, counted as a tar stores it.

    Args:
        lean: without its large files, as if they were aside already.
    """
    sizes = [
        (root / name).lstat().st_size
        for name in travelling(root)
        if not (lean and is_large(root / name))
    ]
    return sum(stored_bytes(size) for size in sizes)


def folder_bytes(folder: Path) -> int:
    return sum(stored_bytes(path.stat().st_size) for path in folder.rglob("*") if path.is_file())


def set_aside(root: Path) -> list[Path]:
    """Move the large files away; those that an earlier call moved stay where they are.

    If this fails half way, what was moved comes back.

    Returns:
        All that is away now, below `root`.
    """
    away = _journal(root)
    moving = [name for name in travelling(root) if is_large(root / name)]
    (root / ASIDE).mkdir(parents=True, exist_ok=True)
    write_json(root / JOURNAL, [str(name) for name in {*away, *moving}])
    try:
        for name in moving:
            waiting = root / ASIDE / name
            waiting.parent.mkdir(parents=True, exist_ok=True)
            (root / name).replace(waiting)
    except BaseException:
        restore(root)
        raise
    return sorted({*away, *moving})


def restore(root: Path) -> list[Path]:
    """Put back whatever is away; again does no harm.

    Returns:
        What was put back.
    Raises:
        ConfigError: another file has taken a place; everything else is back.
    """
    back, taken = [], []
    for name in _journal(root):
        waiting = root / ASIDE / name
        if not waiting.is_file():
            continue
        if os.path.lexists(root / name):
            taken.append(name)
            continue
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        waiting.replace(root / name)
        back.append(name)
    if taken:
        raise ConfigError(
            f"{[str(name) for name in taken]} exist again, so those in {root / ASIDE} stay there; "
            "move one of each away and give `restore` again"
        )
    (root / JOURNAL).unlink(missing_ok=True)
    return back


def start_guard(root: Path, after_s: float = GUARD_S) -> int:
    """Start a process that restores the checkout later, should nobody do it; its process id.

    It ends by itself once the checkout is whole.
    """
    command = [sys.executable, "-m", "tools.gpu.lean", str(root.resolve()), str(after_s)]
    process = subprocess.Popen(
        command, cwd=Path(__file__).resolve().parents[2], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return process.pid


def _journal(root: Path) -> list[Path]:
    path = root / JOURNAL
    return [Path(name) for name in json.loads(path.read_text())] if path.is_file() else []


def guard(root: Path, after_s: float) -> None:
    """Restore so long after the last `set_aside`, unless somebody else does."""
    journal = root / JOURNAL
    while journal.is_file():
        left = journal.stat().st_mtime + after_s - time.time()
        if left <= 0:
            restore(root)
            return
        time.sleep(min(left, 5))


if __name__ == "__main__":
    guard(Path(sys.argv[1]), float(sys.argv[2]))
