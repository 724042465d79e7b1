"""The folders of uploads: what is taken into them, and how it is named."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from vidbg.pipeline.files import upload_conversion
from vidbg.platform.folders import data_folder
from vidbg.sinks.web.api_route import ApiError, Upload
from vidbg.util.free_name import claim_name, safe_stem

MOST_BYTES = 500_000_000
"""Of one upload."""

MOST_PICTURE_BYTES = upload_conversion.MOST_PICTURE_BYTES
"""Of one upload that must be an image."""

MOST_KEPT_BYTES = 5_000_000_000
"""Of all uploads that are kept."""

PATIENCE_S = 300.0
"""How long a conversion may take, in seconds."""


def uploads_folder(kind: str = "backgrounds") -> Path | None:
    """Return this account's folder of a kind of uploads; None if it has no home."""
    try:
        return data_folder() / kind
    except RuntimeError:
        return None


def keep_upload(upload: Upload, folder: Path) -> Path:
    """Convert an upload and keep it under a free name that is like its own. One call at a time.

    Returns:
        The new file.
    Raises:
        ApiError: it cannot be used or kept; the folder is as before.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    if kept > MOST_KEPT_BYTES:
        raise ApiError(409, "the uploads take up 5 GB already; delete some of them first")
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=folder) as incoming:
        converted = _converted(upload.path, Path(incoming) / "upload")
        path = claim_name(folder, safe_stem(upload.name, "background"), converted.suffix)
        return converted.replace(path)


def _converted(source: Path, target: Path) -> Path:
    """Run the conversion, see `upload_conversion`.

    Raises:
        ApiError: it refuses, crashes or takes too long.
    """
    command = [sys.executable, "-m", upload_conversion.__name__, str(source), str(target)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ApiError(
            400, f"it takes longer than {PATIENCE_S:g} s to convert; make it shorter or smaller"
        ) from None
    except OSError as error:
        raise ApiError(503, f"it cannot be converted: {error}") from None
    answer = done.stdout.decode(errors="replace")
    if done.returncode == 0 and answer.startswith("."):
        return target.with_suffix(answer)
    refused = done.returncode == upload_conversion.REFUSED
    reason = answer if refused else "its content cannot be decoded"
    raise ApiError(415, f"the file is not taken: {reason}", "file")
