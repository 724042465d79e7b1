"""Files with the addresses of running pages, by which this account's other programs find them.

`vidbg ctl`, a second `vidbg app` and the tray read them. They are stored beside the secret of the
tokens, with the same permissions, and reveal nothing that the secret does not.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidbg.platform.file_lock import is_locked, lock_file
from vidbg.platform.folders import state_folder
from vidbg.util.lifecycle import Closeable
from vidbg.util.private_file import read_private

_FOLDER = "running"
_MAX_BYTES = 4096  # of a file

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunningPage:
    """A page that is being served.

    Attributes:
        url: with the token that opens it: a secret.
        pid: the process that serves it.
        started_s: when, in seconds since the epoch.
        outside_url: the same for other devices; "" if they are not served.
    """

    url: str
    pid: int
    started_s: float
    outside_url: str = ""


class Announcement(Closeable):
    """Announces a page until it is closed or this process ends, however it ends.

    The file is locked meanwhile, so a file without a lock is known to be left over; its process's
    number could have been given to another program since.

    If the folder cannot be written to, a warning is logged and the page is not announced.
    """

    def __init__(self, page: RunningPage) -> None:
        self._file: Path | None = None
        self._descriptor = -1
        try:
            folder = state_folder() / _FOLDER
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor, name = tempfile.mkstemp(
                ".json", dir=folder
            )  # readable by the owner only
            self._file = Path(name)
            lock_file(self._descriptor)  # before anything is in it: see running_pages()
            os.write(self._descriptor, json.dumps(asdict(page)).encode())
        except (OSError, RuntimeError) as error:
            _log.warning("`vidbg ctl` will not find this run without --url: %s", error)
            self.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)


def running_pages() -> list[RunningPage]:
    """Return this account's pages, the newest first; files of ended processes are removed."""
    try:
        files = sorted((state_folder() / _FOLDER).glob("*.json"))
    except (OSError, RuntimeError):
        return []
    pages = []
    for file in files:
        try:
            record: Any = json.loads(read_private(file, _MAX_BYTES) or b"{}")
            page = RunningPage(
                str(record["url"]),
                int(record["pid"]),
                float(record["started_s"]),
                str(record["outside_url"]),
            )
            if is_locked(file):
                pages.append(page)
            else:
                file.unlink()  # its process was killed
        except (OSError, ValueError, KeyError, TypeError):
            continue  # already removed, still being written, or not one of ours
    return sorted(pages, key=lambda page: page.started_s, reverse=True)
