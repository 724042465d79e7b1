"""A browser for the tests of the page. Without Chromium, or Playwright, they are skipped."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from app_rig import AppRun, seeing_two_people, write_picture

from vidbg.matting import video_matting
from vidbg.pipeline.live.network import backend_opener

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EXPECTED = re.compile(r"WebSocket|ERR_(CONN|EMPTY|SOCKET|FAILED)|status of 4(00|01|09|13|15) ")
"""Browsers log each request that is refused, and each connection that ends."""

RED, BLUE = (10, 20, 230), (220, 40, 30)


@pytest.fixture(scope="package")  # Playwright's event loop would disturb other tests' own
def browser() -> Iterator[Browser]:
    api = pytest.importorskip("playwright.sync_api")
    pytest.importorskip("aiohttp")
    program = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if program is None:
        pytest.skip("Chromium is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox"] if os.geteuid() == 0 else [],  # which root cannot have
        )
        yield browser
        browser.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Backgrounds to choose from."""
    folder = tmp_path / "backgrounds"
    folder.mkdir()
    write_picture(folder / "red.png", RED, (90, 90))
    write_picture(folder / "blue.png", BLUE)
    return folder


@pytest.fixture
def start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppRun]]:
    """Start runs, with other values of LiveConfig, that end with the test."""
    monkeypatch.setattr(video_matting, "load_backend", seeing_two_people)
    monkeypatch.setattr(backend_opener, "load_first", lambda *_: ("cpu", seeing_two_people()))
    runs: list[AppRun] = []

    def begin(**values: Any) -> AppRun:
        kept = {"backgrounds": folder, "config_file": folder.parent / "vidbg.toml"}
        runs.append(AppRun(**{**kept, **values}))
        return runs[-1]

    yield begin
    for run in runs:
        run.close()


@pytest.fixture
def app(start: Callable[..., AppRun]) -> AppRun:
    return start()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages that may not log an error or break their own content policy."""
    contexts, errors = [], []

    def show(app: AppRun, tab: str = "background", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: errors.append(message.text) if message.type == "error" else None,
        )
        page.goto(f"{app.url}#{tab}")
        page.wait_for_selector("body[data-link=open]")
        return page

    yield show
    for context in contexts:
        context.close()
    assert [text for text in errors if not EXPECTED.search(text)] == []
