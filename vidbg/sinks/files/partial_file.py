"""A file that gets its final name when it is complete, or from the start if asked."""

from __future__ import annotations

import logging
import os
import re
import secrets
from pathlib import Path

from vidbg.errors import SinkError
from vidbg.util.paths import resolved

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

_NAME = re.compile(r"\..{0,40}\.[0-9a-f]{8}\.partial(\.\w+)?")


class PartialFile:
    """A file with a hidden temporary name that gets its final name when it is complete.

    If the final name is a link, the file that it leads to is written and the link stays.

    The file is locked while it is written (POSIX), so other processes can tell it from files that
    a killed run left behind; see `remove_left_behind`.

    Args:
        path: the final name.
        overwrite: an existing file of that name is replaced, once the new one is complete.
        named: the file has its final name from the start, for content that must survive a kill.

    Attributes:
        path: the final name.
        temporary: the name to write to, hidden unless `named`, with the same suffix; the file
            exists, empty.
    Raises:
        SinkError: the file exists and may not be overwritten, or its folder is missing or cannot
            be written to.
    """

    def __init__(self, path: str | Path, *, overwrite: bool = False, named: bool = False) -> None:
        self.path = Path(path)
        self._named = named
        self._overwrite = overwrite
        # os.path, since pathlib raises for a name that is too long
        linked = os.path.islink(path)  # noqa: PTH114
        self._place = resolved(path) if linked else self.path

        # Refuse now what could not be written at the end
        try:
            folder = self._place.absolute().parent
            if not folder.is_dir():
                raise SinkError(
                    f"there is no folder {folder} for {self._place.name}; create it first"
                )
            if self.path.is_dir():
                raise SinkError(f"{self.path} is a folder; give the name of a file")
            if not overwrite and self.path.exists():
                raise SinkError(f"{self.path} exists; give another name, or allow overwriting (-y)")
        except OSError as error:  # a name too long for the file system, or an inaccessible folder
            name = self.path.name if len(self.path.name) <= 60 else f"{self.path.name[:57]}..."
            raise SinkError(
                f"{name} ({len(os.fsencode(self.path.name))} bytes) cannot be written to: "
                f"{error.strerror}; give another name for the output"
            ) from error

        # Make the file under its temporary name, and lock it
        token = secrets.token_hex(4)
        stem = self.path.stem[:40]  # keeps the longest possible name within the limit
        hidden = f".{stem}.{token}.partial{self.path.suffix}"
        self.temporary = self._place if named else self._place.with_name(hidden)
        try:
            handle = os.open(self.temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except OSError as error:
            raise SinkError(
                f"nothing can be written to the folder {self._place.absolute().parent}: "
                f"{error.strerror}; choose another folder"
            ) from error
        self._lock: int | None = handle if _locked(handle) else None
        if self._lock is None:
            os.close(handle)

    def commit(self) -> None:
        """Give the complete file its name.

        Raises:
            SinkError: a file of that name has appeared, or the name cannot be used; the new file
                then has another name.
        """
        if self._named:
            self._unlock()
            return
        try:
            if not self._overwrite and self.path.exists():
                raise SinkError(
                    f"{self.path} was created in the meantime and is left alone; what was written "
                    f"is in {self._set_aside()}"
                )
            try:
                self.temporary.replace(self._place)
            except OSError as error:
                raise SinkError(
                    f"{self.path} cannot take its name: {error.strerror}; what was written is in "
                    f"{self._set_aside()}"
                ) from error
        finally:
            self._unlock()

    def _set_aside(self) -> Path:
        """Give the complete file a visible name, so that no later run removes it as left over."""
        aside = self.temporary.with_name(
            self.temporary.name.removeprefix(".").replace(".partial", "", 1)
        )
        try:
            return self.temporary.rename(aside)
        except OSError:
            return self.temporary

    def discard(self) -> None:
        """Remove what was written, as far as the operating system allows."""
        self._unlock()
        try:
            self.temporary.unlink(missing_ok=True)
        except OSError:  # Windows, while the file is still open: call again when it is closed
            return

    def _unlock(self) -> None:
        handle, self._lock = self._lock, None
        if handle is not None:
            os.close(handle)


def remove_left_behind(folder: Path) -> None:
    """Remove the hidden files that killed runs left in a folder, and log each.

    Files that another run is writing are locked (on Windows, open) and are kept. So are files of
    other accounts, and all files on file systems without locks.
    """
    try:
        candidates = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except OSError:  # writing to the folder will report what is wrong with it
        return
    for path in candidates:
        handle = None
        try:
            if fcntl is not None:  # Windows does not remove a file that a program has open
                handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
                if os.fstat(handle).st_uid != os.getuid() or not _locked(handle):
                    continue
            path.unlink()
        except OSError:
            continue
        finally:
            if handle is not None:
                os.close(handle)
        log.warning("removed %s, which a run that was killed had left behind", path)


def _locked(handle: int) -> bool:
    """Lock a file until it is closed; return False if it is locked or locks are unsupported."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
