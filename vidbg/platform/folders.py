"""Folders for the program's own files."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path


def cache_folder() -> Path:
    """Return VIDBG_CACHE, or `vidbg` in the user's cache folder."""
    if chosen := os.environ.get("VIDBG_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "vidbg" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vidbg"


def state_folder() -> Path:
    """Return `vidbg` in the user's folder for what programs keep between runs.

    Raises:
        RuntimeError: this account has no home.
    """
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "vidbg"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/vidbg"
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (state if state.is_absolute() else Path.home() / ".local/state") / "vidbg"


def videos_folder() -> Path:
    """Return the user's folder for videos; it need not exist.

    Raises:
        RuntimeError: this account has no home.
    """
    if sys.platform == "darwin":
        return Path.home() / "Movies"
    if sys.platform != "win32":
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        with suppress(OSError, UnicodeDecodeError):
            named = re.search(
                r'^XDG_VIDEOS_DIR="(.+)"', (config / "user-dirs.dirs").read_text(), re.MULTILINE
            )
            if named is not None:
                return Path(named[1].replace("$HOME", str(Path.home()), 1))
    return Path.home() / "Videos"


def data_folder() -> Path:
    """Return `vidbg` in the user's folder for application data.

    Raises:
        RuntimeError: this account has no home.
    """
    if sys.platform in ("win32", "darwin"):
        return state_folder()
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (data if data.is_absolute() else Path.home() / ".local/share") / "vidbg"
