"""The folders of uploads: what is taken into them, and how it is named."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from vidbg.pipeline.files import upload_conversion
from vidbg.platform.folders import data_folder
from vidbg.sinks.web.api_route import ApiError, Upload
from vidbg.util.free_name import claim_name, safe_stem
from vidbg.util.lifecycle import Closeable

MAX_BYTES = 500_000_000
"""Of one upload."""

MAX_PICTURE_BYTES = upload_conversion.MAX_PICTURE_BYTES
"""Of one upload that must be an image."""

MAX_KEPT_BYTES = 5_000_000_000
"""Of all uploads that are kept."""

PATIENCE_S = 300.0
"""How long a conversion may take, in seconds."""


def uploads_folder(kind: str = "backgrounds") -> Path | None:
    """Return this account's folder of a kind of uploads; None if it has no home."""
    try:
        return data_folder() / kind
    except RuntimeError:
        return None


class Uploads(Closeable):
    """The folder of uploads, and the one conversion that may be going on.

    Args:
        folder: is made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._closed = False
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def keep(self, upload: Upload) -> Path:
        """Convert an upload and keep it under a free name that is like its own. One call at a time.

        Returns:
            The new file.
        Raises:
            ApiError: it cannot be used or kept; the folder is as before.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())
        if kept > MAX_KEPT_BYTES:
            raise ApiError(
                409,
                f"the uploads take up {kept / 1e9:.1f} GB, and {MAX_KEPT_BYTES / 1e9:g} GB are "
                "allowed; delete some of them first",
            )
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=self.folder) as incoming:
            converted = self._convert(upload.path, Path(incoming) / "upload")
            stem = safe_stem(upload.name, "background")
            return converted.replace(claim_name(self.folder, stem, converted.suffix))

    def close(self) -> None:
        """End a conversion that is going on; its upload is refused."""
        with self._starting:
            self._closed = True
            if self._process is not None:
                self._process.kill()

    def _convert(self, source: Path, target: Path) -> Path:
        """Run the conversion, see `upload_conversion`.

        Raises:
            ApiError: it refuses, crashes or takes too long.
        """
        command = [sys.executable, "-X", "utf8", "-m", upload_conversion.__name__]
        streams: Any = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with self._starting:
            if self._closed:
                raise ApiError(409, "the run is ending")
            try:
                process = self._process = subprocess.Popen(
                    [*command, str(source), str(target)], stdout=subprocess.PIPE, **streams
                )
            except OSError as error:
                raise ApiError(503, f"the file cannot be converted: {error}") from None
        with process:
            try:
                answer = process.communicate(timeout=PATIENCE_S)[0].decode(errors="replace")
            except subprocess.TimeoutExpired:
                process.kill()
                raise ApiError(
                    400, f"the file takes longer than {PATIENCE_S:g} s to convert; shorten it first"
                ) from None
        if process.returncode == 0 and answer.startswith("."):
            return target.with_suffix(answer)
        refused = process.returncode == upload_conversion.REFUSED
        reason = answer if refused else "its content cannot be decoded"
        raise ApiError(415, f"the file is not taken: {reason}", "file")
