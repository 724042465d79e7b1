"""Files in parts of a limited size, and lists by which they are checked.

A list is JSON: `name`, `bytes` and `sha256` of each file beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidbg.errors import ConfigError
from vidbg.matting.engines import file_hash

PARTS_FILE = "parts.json"


@dataclass(frozen=True, slots=True)
class Part:
    """One entry of a list."""

    name: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Part:
        return cls(path.name, path.stat().st_size, file_hash(path))

    def found_in(self, folder: Path) -> Path:
        """Find the file and check it.

        Raises:
            ConfigError: it is missing or not what the list says.
        """
        path = folder / self.name
        if not path.is_file():
            raise ConfigError(f"{path} is missing; copy it there and try again")
        if Part.of(path) != self:
            raise ConfigError(
                f"{path} is damaged: {path.stat().st_size} of {self.bytes} bytes, or another "
                f"sha256 than {self.sha256[:12]}…; copy it again"
            )
        return path


def write_list(path: Path, parts: Iterable[Part]) -> None:
    write_json(path, [asdict(part) for part in parts])


def write_json(path: Path, content: Any) -> None:
    """Write beside the file and rename, so that an interruption leaves the old file intact."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def read_list(path: Path) -> list[Part]:
    """Read a list.

    Raises:
        ConfigError: the list is missing or invalid.
    """
    try:
        return [Part(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"cannot read the list {path}: {error}") from None


def require_all(folder: Path, parts: list[Part]) -> None:
    """Refuse a folder in which files of a list are missing; their content is not checked.

    Raises:
        ConfigError: the message names every absent file.
    """
    absent = [part.name for part in parts if not (folder / part.name).is_file()]
    if absent:
        raise ConfigError(f"{len(absent)} of {len(parts)} files are not in {folder}: {absent}")


def split(file: Path, out: Path, limit: int) -> list[Part]:
    """Cut a file into parts of at most `limit` bytes, with a list of them."""
    out.mkdir(parents=True, exist_ok=True)
    parts: list[Part] = []
    with file.open("rb") as source:
        while content := source.read(limit):
            path = out / f"{file.name}.{len(parts):03d}"
            path.write_bytes(content)
            parts.append(Part.of(path))
    write_list(out / PARTS_FILE, parts)
    return parts


def join(folder: Path, out: Path) -> None:
    """Join parts into their file.

    Raises:
        ConfigError: a part is missing or damaged; `out` is left as it was.
    """
    parts = read_list(folder / PARTS_FILE)
    require_all(folder, parts)
    paths = [part.found_in(folder) for part in parts]
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(out.name + ".part")
    with temporary.open("wb") as file:
        for path in paths:
            file.write(path.read_bytes())
    temporary.replace(out)
