"""The images and videos that page and API offer as backgrounds."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vidbg.errors import SourceError
from vidbg.pipeline.live.controls.uploads import Uploads
from vidbg.pipeline.media_files import media_in, visible_in
from vidbg.sinks.web.api_route import ApiError, Upload
from vidbg.util.lifecycle import Closeable

RESCAN_S = 1.0
"""Least time between two looks at the folders, in seconds."""


@dataclass(frozen=True, slots=True)
class LibraryFile:
    """One file.

    Attributes:
        id: the same as long as the path is; reveals nothing about it.
        path: absolute.
        uploaded: whether it lies in the folder of uploads.
    """

    id: str
    path: Path
    uploaded: bool

    @classmethod
    def of(cls, path: Path, *, uploaded: bool) -> Self:
        """Return the entry of a path."""
        path = path.absolute()
        digest = hashlib.sha256(str(path).encode(errors="surrogateescape")).hexdigest()
        return cls(digest[:16], path, uploaded)


class BackgroundLibrary(Closeable):
    """Lists the files of folders, and notices when they change. May be used from any thread.

    Args:
        folder: the user's own; None for none.
        uploads: where uploads are kept; None for none. It need not exist.
    Attributes:
        revision: grows when the list changes.
    """

    def __init__(self, folder: Path | None, uploads: Path | None = None) -> None:
        self._folder = folder
        self._uploads = None if uploads is None else Uploads(uploads)
        self._lock = threading.Lock()
        self._files: list[LibraryFile] = []
        self._looked_s = float("-inf")
        self.revision = 0

    def files(self, *, again: bool = False) -> list[LibraryFile]:
        """Return the files by name, uploads last.

        Args:
            again: look at once, because this program has changed a folder.
        """
        with self._lock:
            now = time.monotonic()
            if again or now - self._looked_s > RESCAN_S:
                self._looked_s = now
                uploads = None if self._uploads is None else self._uploads.folder
                files = [*_listed(self._folder, False), *_listed(uploads, True)]
                if files != self._files:
                    self._files, self.revision = files, self.revision + 1
            return self._files

    def add(self, upload: Upload) -> LibraryFile:
        """Convert an upload and keep it. One call at a time.

        Raises:
            ApiError: it cannot be used or kept.
        """
        if self._uploads is None:
            raise ApiError(409, "this run keeps no uploads")
        path = self._uploads.keep(upload)
        self.files(again=True)
        return LibraryFile.of(path, uploaded=True)

    def delete(self, file_id: str) -> None:
        """Delete an uploaded file.

        Raises:
            ApiError: there is none with this id, or it was not uploaded.
        """
        file = self.get(file_id)
        if file is None:
            raise ApiError(404, "there is no such background")
        if not file.uploaded:
            raise ApiError(409, f"{file.path.name} lies in a folder of yours; delete it there")
        file.path.unlink(missing_ok=True)
        self.files(again=True)

    def close(self) -> None:
        """End the conversion of an upload that is going on."""
        if self._uploads is not None:
            self._uploads.close()

    def find(self, path: Path) -> LibraryFile | None:
        """Return the entry of a path."""
        absolute = path.absolute()
        return next((file for file in self.files() if file.path == absolute), None)

    def get(self, file_id: str) -> LibraryFile | None:
        """Return the entry of an id."""
        return next((file for file in self.files() if file.id == file_id), None)


def _listed(folder: Path | None, uploaded: bool) -> list[LibraryFile]:
    try:
        paths = [] if folder is None else media_in(visible_in(folder), str(folder))
    except (SourceError, OSError):  # empty, or gone: there is nothing to choose then
        return []
    return [LibraryFile.of(path, uploaded=uploaded) for path in paths]
