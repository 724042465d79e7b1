"""The picture on the page and its buttons: views, pause, snapshot; and the status tab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from app_rig import AppRun, distance, room

from vidbg.frame import Image
from vidbg.pipeline.live.controls import live_api

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.app

Open = Callable[..., "Page"]

DRAWN = """() => {
    const canvas = document.querySelector('#picture');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return [canvas.height, canvas.width, [...data]];
}"""


def drawn(page: Page) -> Image:
    """Return what the page shows, as BGR."""
    height, width, data = page.evaluate(DRAWN)
    return np.asarray(data, np.uint8).reshape(height, width, 4)[..., 2::-1]


def shows(page: Page, image: Image) -> Callable[[], bool]:
    return lambda: distance(drawn(page), image) < 6


def is_mask(image: Image) -> bool:
    """Whether nearly all of it is black or white, and both are there."""
    black, white = float((image < 40).mean()), float((image > 215).mean())
    return black > 0.1 and white > 0.1 and black + white > 0.85


def test_views_show_the_room_only_after_a_question(app: AppRun, opened: Open) -> None:
    page = opened(app)
    page.wait_for_selector("#empty", state="hidden")
    on_air = app.newest
    app.wait(shows(page, on_air), "the output's view")
    page.get_by_role("radio", name="Mask").click()
    app.wait(lambda: is_mask(drawn(page)), "the mask's view")
    page.get_by_role("radio", name="Before").click()
    page.wait_for_selector("dialog[open]")
    page.get_by_role("button", name="Cancel").click()
    assert page.get_by_role("radio", name="Mask").get_attribute("aria-checked") == "true"
    page.get_by_role("radio", name="Before").click()
    page.locator("#dialog-yes").click()
    page.wait_for_selector("#stage.danger #room:visible")
    app.wait(shows(page, room()), "the camera's view")
    assert not app.differs(on_air)
    page.get_by_role("button", name="Hide").click()
    page.wait_for_selector("#room", state="hidden")
    app.wait(shows(page, on_air), "the output's view again")
    assert page.locator("#stage.danger").count() == 0


def test_a_pause_shows_the_card_to_viewers(app: AppRun, opened: Open) -> None:
    page = opened(app)
    before = app.newest
    page.get_by_role("button", name="Pause").click()
    page.wait_for_selector("#away[aria-pressed=true]")
    app.wait(lambda: app.differs(before), "the card")
    page.wait_for_selector("#words >> text=/away/i")
    card = app.newest
    page.locator("#tab-camera").click()
    page.get_by_role("textbox", name="Text").fill("Lunch")
    page.get_by_role("textbox", name="Text").press("Enter")
    app.wait(lambda: app.differs(card), "the new words on the card")
    page.get_by_role("button", name="Resume").click()
    app.wait(lambda: app.shows(before), "the picture")


def test_a_snapshot_is_what_viewers_see(app: AppRun, opened: Open) -> None:
    page = opened(app)
    with page.expect_download() as download:
        page.get_by_role("button", name="Snapshot").click()
    assert download.value.suggested_filename.endswith(".png")
    image = cv2.imread(str(download.value.path()))
    assert image is not None
    assert distance(np.asarray(image, np.uint8), app.newest) < 1
    page.wait_for_selector(".notice >> text=Snapshot saved")


def test_a_recording_is_started_shown_and_saved(
    app: AppRun, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_api, "_new_file", lambda suffix: tmp_path / f"call{suffix}")
    page = opened(app)
    page.get_by_role("button", name="Record").click()
    page.wait_for_selector("#recording:visible >> text=00:01")
    assert page.locator("#record").get_attribute("aria-pressed") == "true"
    page.reload()
    page.wait_for_selector("#recording:visible")
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector(".notice >> text=call.mp4, 00:0")
    page.wait_for_selector("#recording", state="hidden")
    video = cv2.VideoCapture(str(tmp_path / "call.mp4"))
    assert video.read()[0]


def test_figures_log_and_diagnostics(app: AppRun, opened: Open) -> None:
    page = opened(app, "status", permissions=["clipboard-read", "clipboard-write"])
    page.wait_for_selector("figure >> text=FPS, between")
    assert page.locator(".charts path.line-0").first.get_attribute("d")
    page.wait_for_selector(".log p >> text=live")
    page.locator("#diagnostics").click()
    page.wait_for_selector(".notice >> text=Diagnostics copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "vidbg" in copied
    assert str(app.live.config.backgrounds) not in copied
