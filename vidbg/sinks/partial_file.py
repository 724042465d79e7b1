"""A file that appears under its name only when it is complete."""

from __future__ import annotations

import secrets
from pathlib import Path

from vidbg.errors import SinkError


class PartialFile:
    """Reserves a hidden name beside the wanted one, and takes the wanted one at the end.

    Args:
        path: the wanted name.
        overwrite: an existing file of that name is replaced, once the new one is complete.

    Attributes:
        path: the wanted name.
        temporary: the hidden name to write to, with the same suffix; the file exists, empty.
    Raises:
        SinkError: the file exists and may not be overwritten, or its folder is missing or cannot
            be written to.
    """

    def __init__(self, path: str | Path, *, overwrite: bool) -> None:
        self.path = Path(path)
        self._overwrite = overwrite
        self._check()
        token = secrets.token_hex(4)
        stem = self.path.stem[:40]  # so that a name as long as allowed does not become too long
        self.temporary = self.path.with_name(f".{stem}.{token}.partial{self.path.suffix}")
        try:
            self.temporary.touch(exist_ok=False)
        except OSError as error:
            raise SinkError(
                f"nothing can be written to the folder {self.path.absolute().parent}: "
                f"{error.strerror}; choose another folder"
            ) from error

    def commit(self) -> None:
        """Gives the complete file its name.

        Raises:
            SinkError: a file of that name came up meanwhile; the new one keeps its hidden name.
        """
        if self._taken():
            raise SinkError(
                f"{self.path} came into being meanwhile and is left alone; what was written is in "
                f"{self.temporary}"
            )
        try:
            self.temporary.replace(self.path)
        except OSError as error:
            raise SinkError(
                f"{self.path} cannot take its name: {error.strerror}; what was written is in "
                f"{self.temporary}"
            ) from error

    def discard(self) -> None:
        """Removes what was written, as far as the operating system lets it go."""
        try:
            self.temporary.unlink(missing_ok=True)
        except OSError:  # Windows, while the file is still open: call again when it is closed
            return

    def _taken(self) -> bool:
        return not self._overwrite and self.path.exists()

    def _check(self) -> None:
        folder = self.path.absolute().parent
        if not folder.is_dir():
            raise SinkError(f"there is no folder {folder} to write {self.path.name} to; make it")
        if self.path.is_dir():
            raise SinkError(f"{self.path} is a folder; give the name of a file")
        if self._taken():
            raise SinkError(f"{self.path} exists; give another name, or allow overwriting (-y)")
