"""The profiles of the configuration file, `[profile.NAME]`, read and written while a run is live.

tomlkit keeps the file's comments, order and unknown keys; Python's own tomllib cannot write.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from vidbg.errors import ConfigError
from vidbg.option_values import anchored, from_json, to_json
from vidbg.pipeline.live.controls.live_settings import LOOK_SETTINGS, SETTINGS
from vidbg.sinks.web.api_route import ApiError
from vidbg.util.atomic_file import replace_file
from vidbg.util.decoding import settings_text

TABLE = "profile"
_MAX_NAME = 60  # characters


class Profiles:
    """Reads and writes profiles. May be used from any thread.

    Args:
        file: the configuration file; it need not exist. None: profiles cannot be kept.
    Attributes:
        revision: grows when the file changes.
    """

    def __init__(self, file: Path | None) -> None:
        self._file, self._lock = file, threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self.revision = 0

    def check_file(self) -> None:
        """Notice whether the file has changed, to count `revision`."""
        try:
            status = None if self._file is None else self._file.stat()
        except OSError:
            status = None
        stamp = None if status is None else (status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            self._stamp, self.revision = stamp, self.revision + 1

    def all(self) -> dict[str, dict[str, Any]]:
        """Return the live settings of each profile, by name.

        Raises:
            ApiError: the file cannot be read, or a value in it cannot be used.
        """
        return {name: self._settings(table) for name, table in _profiles(self._read_file()).items()}

    def settings(self, name: str) -> dict[str, Any]:
        """Return what a profile changes: its settings, and the file's for the rest of the look.

        Raises:
            ApiError: there is no such profile, or the file cannot be used.
        """
        document = self._read_file()
        profile = _existing(document, name)
        whole = {
            key: to_json(option, option.default_for("run")) for key, option in LOOK_SETTINGS.items()
        }
        top = self._settings(document)
        whole.update({key: value for key, value in top.items() if key in LOOK_SETTINGS})
        return {**whole, **self._settings(profile)}

    def save(self, name: str, settings: Mapping[str, Any]) -> None:
        """Make a profile, or change its settings and keep whatever else is in it.

        Args:
            settings: JSON by key; those of the camera and the outputs are left out, as are those
                that are the default and set nowhere else in the file.
        Raises:
            ApiError: the name cannot be used, or the file cannot be read or written.
        """
        _check_name(name)
        with self._lock:
            document = self._read_file()
            _profiles(document)  # refuses what is no table
            profiles = document.setdefault(TABLE, tomlkit.table(is_super_table=True))
            table = profiles.setdefault(name, tomlkit.table())
            for key, option in LOOK_SETTINGS.items():
                value = settings.get(key)
                is_default = (
                    value == to_json(option, option.default_for("run")) and key not in document
                )
                if value is None or (is_default and key not in table):
                    table.pop(key, None)
                elif key not in table or _plain(table[key]) != value:
                    table[key] = value
            self._write_file(document)

    def rename(self, name: str, new: str) -> None:
        """Give a profile another name.

        Raises:
            ApiError: there is no such profile, the name is taken or cannot be used, or the file
                cannot be read or written.
        """
        _check_name(new)
        with self._lock:
            document = self._read_file()
            table = _existing(document, name)
            if new == name:
                return
            if new in document[TABLE]:
                raise ApiError(409, f"there is a profile {new!r} already", "name")
            document[TABLE].remove(name)
            document[TABLE][new] = table
            self._write_file(document)

    def delete(self, name: str) -> None:
        """Remove a profile.

        Raises:
            ApiError: there is no such profile, or the file cannot be read or written.
        """
        with self._lock:
            document = self._read_file()
            _existing(document, name)
            document[TABLE].remove(name)
            self._write_file(document)

    def _settings(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """Return the live settings in a table of the file as JSON, with absolute paths."""
        folder = Path() if self._file is None else self._file.absolute().parent
        try:
            return {
                key: to_json(
                    option, anchored(option, from_json(option, _plain(table[key])), folder)
                )
                for key, option in SETTINGS.items()
                if key in table
            }
        except ConfigError as error:
            raise ApiError(409, f"{self._file}: {error}") from None

    def _read_file(self) -> tomlkit.TOMLDocument:
        if self._file is None:
            return tomlkit.document()
        try:
            return tomlkit.parse(settings_text(self._file))
        except (FileNotFoundError, NotADirectoryError):
            return tomlkit.document()
        except (OSError, ValueError, RecursionError, TOMLKitError) as error:
            raise ApiError(409, f"{self._file} cannot be read: {error}; mend it first") from None

    def _write_file(self, document: tomlkit.TOMLDocument) -> None:
        if self._file is None:
            raise ApiError(409, "this run has no configuration file to keep profiles in")
        try:
            replace_file(self._file, tomlkit.dumps(document).encode())
        except OSError as error:
            raise ApiError(409, f"{self._file} cannot be written: {error.strerror}") from None


def _profiles(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the table of profiles.

    Raises:
        ApiError: it is none.
    """
    profiles = document.get(TABLE, {})
    if not isinstance(profiles, Mapping) or not all(
        isinstance(each, Mapping) for each in profiles.values()
    ):
        raise ApiError(409, f"{TABLE} is not a table in the file; write [{TABLE}.NAME]")
    return profiles


def _existing(document: Mapping[str, Any], name: str) -> Table:
    profiles = _profiles(document)
    if name not in profiles:
        known = ", ".join(profiles) or "none"
        raise ApiError(404, f"there is no profile {name[:_MAX_NAME]!r}; there are: {known}")
    return profiles[name]  # type: ignore[no-any-return]


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _MAX_NAME or not name.isprintable():
        raise ApiError(
            400, f"a profile's name is 1 to {_MAX_NAME} characters that can be printed", "name"
        )


def _plain(value: Any) -> Any:
    """Return a value of tomlkit as Python's own."""
    return value.unwrap() if hasattr(value, "unwrap") else value
