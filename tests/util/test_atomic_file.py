"""Files that are replaced atomically."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from vidbg.util.atomic_file import replace_file

posix = pytest.mark.skipif(sys.platform == "win32", reason="rights and links are other there")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_and_its_folder_are_made(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "file"
    replace_file(file, b"one")
    replace_file(file, b"two")
    assert file.read_bytes() == b"two"
    assert list(file.parent.iterdir()) == [file]


@posix
def test_rights_are_kept_and_links_stay_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, link = tmp_path / "real" / "file", tmp_path / "link"
    replace_file(file, b"one")
    umask = os.umask(0)
    os.umask(umask)
    assert mode(file) == 0o666 & ~umask
    file.chmod(0o600)
    link.symlink_to(file)
    meanwhile: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda part: meanwhile.append(os.fstat(part).st_mode & 0o777))
    replace_file(link, b"two")
    assert (link.is_symlink(), file.read_bytes(), mode(file)) == (True, b"two", 0o600)
    assert meanwhile == [0o600]  # nobody else can read it while it is being written


@posix
def test_a_private_file_is_private_even_if_it_existed(tmp_path: Path) -> None:
    other, file = tmp_path / "other", tmp_path / "folder" / "secret"
    replace_file(file, b"one", private=True)
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    other.touch()
    file.unlink()
    file.symlink_to(other)
    replace_file(file, b"two", private=True)
    assert (file.is_symlink(), mode(file), other.read_bytes()) == (False, 0o600, b"")


def test_what_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        replace_file(tmp_path / "folder", b"")
