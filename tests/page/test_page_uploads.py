"""Uploads on the page: chosen, dropped, pasted, wrong, huge and hostile files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from app_rig import AppRun, write_picture

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.app

Open = Callable[..., "Page"]
YELLOW = (30, 220, 240)

GIVE = """([how, data]) => {
    const transfer = new DataTransfer();
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], 'yellow.png', { type: 'image/png' }));
    const event = how === 'paste'
        ? new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true })
        : new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true });
    document.body.dispatchEvent(event);
}"""
"""Drops or pastes a picture on the page."""


def yellow() -> bytes:
    return cv2.imencode(".png", np.full((54, 96, 3), YELLOW, np.uint8))[1].tobytes()


def shows(app: AppRun, colour: tuple[int, ...]) -> bool:
    return bool(np.abs(app.newest[4, -4].astype(int) - colour).max() < 12)


@pytest.mark.parametrize("how", ["choose", "drop", "paste"])
def test_a_picture_is_added_and_shown(app: AppRun, opened: Open, tmp_path: Path, how: str) -> None:
    page = opened(app)
    if how == "choose":
        page.locator("#picker").set_input_files(write_picture(tmp_path / "yellow.png", YELLOW))
    else:
        import base64

        page.evaluate(GIVE, [how, base64.b64encode(yellow()).decode()])
    app.wait(lambda: shows(app, YELLOW))
    page.wait_for_selector(".tile[aria-pressed=true] >> text=yellow")
    page.get_by_role("button", name="red.png").click()
    app.wait(lambda: not shows(app, YELLOW))
    page.get_by_role("button", name="Delete yellow").focus()
    page.keyboard.press("Enter")
    page.locator("#dialog-yes").click()
    page.wait_for_selector(".tile >> text=yellow", state="detached")


def test_a_logo_is_chosen_for_the_overlay(app: AppRun, opened: Open) -> None:
    page = opened(app, "look")
    before = app.newest
    row = page.locator("[data-key=overlay]")
    row.locator("input[type=file]").set_input_files(
        {"name": "logo.png", "mimeType": "image/png", "buffer": yellow()}
    )
    app.wait(lambda: app.differs(before), "the logo")
    assert row.locator("input[type=text]").input_value() == "logo.jpg"
    row.locator("input[type=file]").set_input_files(
        {"name": "letter.png", "mimeType": "image/png", "buffer": b"Dear all"}
    )
    row.locator(".error >> text=the file is not taken").wait_for()


def test_the_folder_of_own_pictures_is_watched(app: AppRun, opened: Open, folder: Path) -> None:
    page = opened(app)
    assert page.locator("#gallery .tile").count() == 2
    write_picture(folder / "green & <b>.png", (40, 160, 40))
    page.locator(".tile", has_text="green & <b>.png").wait_for()
    assert page.get_by_role("button", name="Delete green").count() == 0
    (folder / "red.png").unlink()
    page.locator(".tile", has_text="red.png").wait_for(state="detached")


def test_bad_files_are_explained(app: AppRun, opened: Open, tmp_path: Path) -> None:
    page = opened(app)
    words = page.locator("#notices-urgent p")
    hostile = "<img src=x onerror=document.title=1>.png"
    page.locator("#picker").set_input_files(
        {"name": hostile, "mimeType": "image/png", "buffer": b"no picture at all"}
    )
    page.wait_for_selector("#notices-urgent >> text=the file is not taken")
    assert words.inner_text().startswith(hostile)
    assert page.locator("#notices img").count() == 0

    (tmp_path / "letter.docx").write_bytes(b"PK")
    page.locator("#picker").set_input_files(tmp_path / "letter.docx")
    page.wait_for_selector("#notices-urgent >> text=letter.docx: This is not a picture or video")

    with (tmp_path / "huge.mp4").open("wb") as huge:
        huge.truncate(500_000_001)
    page.locator("#picker").set_input_files(tmp_path / "huge.mp4")
    page.wait_for_selector("#notices-urgent >> text=is more than the 500.0 MB")
    assert page.locator("#gallery .tile").count() == 2


def test_a_hostile_name_is_only_a_name(app: AppRun, opened: Open) -> None:
    page = opened(app)
    page.locator("#picker").set_input_files(
        {"name": "../../<b>x.png", "mimeType": "image/png", "buffer": yellow()}
    )
    app.wait(lambda: shows(app, YELLOW))
    page.wait_for_selector(".tile[aria-pressed=true]")
    assert page.locator(".tile b").count() == 0
