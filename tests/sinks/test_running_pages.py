"""How other programs of the same account find the page of a run."""

from __future__ import annotations

import logging
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vidbg.platform.folders import state_folder
from vidbg.sinks.web.running_pages import Announcement, RunningPage, running_pages
from vidbg.sinks.web.web_service import WebAddress, WebService

SERVES = """
import sys
from vidbg.sinks.web.running_pages import Announcement, RunningPage
Announcement(RunningPage(sys.argv[1], 7, 1.0))
print("announced", flush=True)
sys.stdin.read()
"""


def files() -> list[Path]:
    return sorted((state_folder() / "running").iterdir())


def page(name: str, started_s: float = 1.0) -> RunningPage:
    return RunningPage(f"http://127.0.0.1:1/?token={name}", 1, started_s)


def test_a_page_is_known_until_it_is_closed() -> None:
    assert running_pages() == []
    with Announcement(page("first")), Announcement(page("second", 2.0)):
        assert running_pages() == [page("second", 2.0), page("first")]
    assert running_pages() == []
    assert files() == []


def test_only_announced_pages_are_listed() -> None:
    web = pytest.importorskip("aiohttp.web")
    here = ("127.0.0.1", 0, "")
    with (
        WebService("shown", WebAddress(*here, announced=True), lambda *_: web.Application()) as a,
        WebService("hidden", WebAddress(*here), lambda *_: web.Application()),
    ):
        assert [page.url for page in running_pages()] == [a.url]
    assert running_pages() == []


def test_a_page_is_forgotten_once_its_process_was_killed() -> None:
    url = "http://127.0.0.1:5/?token=x"
    command = [sys.executable, "-c", SERVES, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        assert running_pages() == [RunningPage(url, 7, 1.0)]
        server.kill()
        server.wait()
        assert running_pages() == []
    assert files() == []  # and the file does not stay


@pytest.mark.skipif(sys.platform == "win32", reason="rights are other there")
def test_the_address_is_readable_by_its_owner_only() -> None:
    with Announcement(page("a")):
        (file,) = files()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        file.chmod(0o644)  # others could have written, or read, it
        assert running_pages() == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_and_other_files_are_passed_over() -> None:
    with Announcement(page("a")):
        (file,) = files()
        (file.parent / "link.json").symlink_to(file)
        (file.parent / "empty.json").touch(mode=0o600)  # of a program that is just starting
        (file.parent / "other.json").write_text("[1, 2]")
        (file.parent / "other.json").chmod(0o600)
        assert running_pages() == [page("a")]
    assert len(files()) == 3  # none of which is ours to remove


def test_without_a_folder_the_page_stays_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(
        "vidbg.sinks.web.running_pages.state_folder", lambda: tmp_path / "file/vidbg"
    )
    caplog.set_level(logging.WARNING)
    with Announcement(page("a")):
        assert running_pages() == []
    assert "--url" in caplog.text
