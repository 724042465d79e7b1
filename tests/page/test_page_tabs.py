"""The page's tabs of cameras, outputs and profiles."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from app_rig import AppRun

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.app

Open = Callable[..., "Page"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_profiles_are_saved_renamed_applied_and_deleted(app: AppRun, opened: Open) -> None:
    page = opened(app, "profiles")
    assert page.locator("#pane-profiles .empty").is_visible()
    page.locator("#tab-look").click()
    page.locator("[data-key=mirror] input").click()
    app.wait(lambda: app.live.config.mirror)
    page.locator("#tab-profiles").click()
    page.locator("#profile-name").fill("Work & <play>")
    page.get_by_role("button", name="Save", exact=True).click()
    row = page.locator(".profile", has_text="Work & <play>")
    row.wait_for()
    page.wait_for_selector(".profile .tag:visible")
    page.locator("#tab-look").click()
    page.locator("[data-key=mirror] input").click()
    app.wait(lambda: not app.live.config.mirror)
    page.locator("#tab-profiles").click()
    page.wait_for_selector(".profile .tag", state="hidden")
    row.get_by_role("button", name="Apply").click()
    app.wait(lambda: app.live.config.mirror)
    page.get_by_role("button", name="Rename Work").click()
    page.locator("dialog input").fill("Evening")
    page.locator("#dialog-yes").click()
    page.get_by_role("button", name="Delete Evening").click()
    page.locator("#dialog-yes").click()
    page.wait_for_selector(".profile", state="detached")


def test_outputs_are_started_and_stopped(start: Callable[..., AppRun], opened: Open) -> None:
    app = start(output="none", own_sink=False)
    page = opened(app, "output")
    page.wait_for_selector("text=Nobody can see the picture")
    port = free_port()
    page.get_by_label("Port").fill(str(port))
    page.get_by_role("button", name="Start Web page", exact=True).click()
    page.wait_for_selector(".lamp[data-state=on]")
    link = page.get_by_role("link", name="Open").get_attribute("href")
    assert f":{port}/" in str(link)
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector("text=Nobody can see the picture")
    assert app.live.config.outputs == ("none",)


def test_the_outputs_get_another_size_and_rate(app: AppRun, opened: Open) -> None:
    page, before = opened(app, "output"), app.newest.shape
    size = page.locator("[data-key='output-size'] input")
    size.fill("200x100")
    size.press("Enter")
    app.wait(lambda: app.newest.shape == (100, 200, 3))
    size.fill("big")
    size.press("Enter")
    page.wait_for_selector(".error:has-text('WIDTHxHEIGHT'), .error:has-text('size')")
    page.locator("[data-key='output-size'] .reset").click()
    app.wait(lambda: app.newest.shape == before)
    rate = page.locator("[data-key='output-fps'] input")
    rate.fill("12")
    rate.press("Enter")
    app.wait(lambda: app.live.info.frame_rate == 12)


def test_the_missing_parts_of_an_output_are_named(app: AppRun, opened: Open) -> None:
    page = opened(app, "output")
    page.wait_for_selector("summary >> text=Not available here")
    page.locator("summary").first.click()
    assert page.locator("details[open] code").first.is_visible()


def test_formats_of_a_camera_and_what_is_wrong_with_another(
    start: Callable[..., AppRun], opened: Open
) -> None:
    app = start(own_camera=False, camera="synthetic")
    page = opened(app, "output")
    mode = {"size": "320x240", "fps": 15.0, "format": "MJPG"}
    problem = "Another program uses it: close that, or `sudo fuser /dev/video2` tells which."
    cameras = [
        {"value": "synthetic", "label": "A camera", "modes": [mode], "problem": None},
        {"value": "/dev/video2", "label": "<b>Busy</b>", "modes": [], "problem": problem},
    ]
    page.route("**/api/v1/cameras", lambda route: route.fulfill(json=cameras))
    page.locator("#tab-camera").click()
    busy = page.locator(".device", has_text="<b>Busy</b>")
    assert busy.locator("code").inner_text() == "sudo fuser /dev/video2"
    page.get_by_label("Format", exact=True).select_option(label="320 × 240 · 15 FPS · MJPG")
    app.wait(lambda: app.live.config.size == (320, 240))
    assert (app.live.config.fps, app.live.config.pixel_format) == (15, "MJPG")


def test_another_camera_is_used_at_once(start: Callable[..., AppRun], opened: Open) -> None:
    app = start(own_camera=False, camera="synthetic")
    page = opened(app, "camera")
    before = app.newest
    page.get_by_label("Sample clip").click()
    app.wait(lambda: app.live.config.camera == "sample")
    app.wait(lambda: app.differs(before))
    page.get_by_label("Another camera, file or stream").fill("no such camera")
    page.get_by_role("button", name="Use", exact=True).click()
    page.wait_for_selector(
        "#reason:has-text('no such camera'), #notices-urgent:has-text('no such')"
    )
