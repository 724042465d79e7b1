"""The page in a browser: what it shows of a real run, and how it changes the output."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from app_rig import AppRun, distance

from vidbg.compositing.backgrounds import SceneSpec

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.app

Open = Callable[..., "Page"]
GREEN, RED = (64, 177, 0), (10, 20, 230)

UNSEEN = {
    "fade", "smoothing", "device", "precision", "network", "quality", "network-size", "threads",
    "full-frame", "adapt", "cpu-limit",
}  # fmt: skip
"""Settings that change nothing in a still picture of constant alpha: how alpha is computed."""


def corner(app: AppRun) -> tuple[int, ...]:
    """Return the background in the upper right corner."""
    return tuple(int(level) for level in app.newest[4, -4])


def near(app: AppRun, colour: tuple[int, ...]) -> bool:
    return bool(np.abs(np.subtract(corner(app), colour)).max() < 12)


def setting(page: Page, key: str) -> Locator:
    return page.locator(f'.setting[data-key="{key}"]:visible')


def use(row: Locator, words: str) -> None:
    """Change a control to something else than it shows, as a user would; `words` for a text."""
    kinds = row.get_attribute("class") or ""
    if "number" in kinds:
        slider = row.locator("input[type=range]")
        if not slider.count():
            smallest = row.locator("input").get_attribute("min")
            row.locator("input").fill(str(int(float(smallest or 1)) + 1))
            row.locator("input").press("Enter")
            return
        at_end = slider.evaluate("input => input.value === input.max")
        slider.press("Home" if at_end else "End")
    elif "check" in kinds:
        row.locator("input").click()
    elif "choice" in kinds and row.locator("select").count():
        row.locator("select").select_option(
            index=row.locator("select").evaluate("list => (list.selectedIndex + 1) % list.length")
        )
    elif "choice" in kinds:
        row.locator("label:not(:has(:checked))").last.click()
    elif "text" in kinds or "file" in kinds:
        row.locator("input[type=text]").fill(words)
        row.locator("input[type=text]").press("Enter")
    elif "colour" in kinds:
        row.locator("input").fill("#1020d0")


def test_every_setting_of_the_look_changes_the_output(
    app: AppRun, opened: Open, tmp_path: Path
) -> None:
    layer = tmp_path / "layer.png"
    cv2.imwrite(str(layer), np.full((20, 40, 4), (200, 0, 200, 180), np.uint8))
    page = opened(app, "background")
    page.get_by_role("button", name="red.png").click()
    app.wait(lambda: near(app, RED))
    for tab in ("background", "look"):
        page.locator(f"#tab-{tab}").click()
        keys = [
            str(row.get_attribute("data-key")) for row in page.locator(".setting:visible").all()
        ]
        assert keys
        for key in keys:
            row = setting(page, key)
            if "idle" in (row.get_attribute("class") or ""):
                continue
            before, config = app.newest, app.live.config
            use(row, str(layer) if key == "overlay" else "160x128")
            app.wait(lambda config=config: app.live.config != config, key)  # type: ignore[misc]
            if key not in UNSEEN:
                app.wait(partial(app.differs, before), f"a change by {key}")
            if app.live.config.adapt != config.adapt:
                continue  # off at the start of these tests, which is not its default
            row.locator(".reset").click()
            app.wait(row.locator(".reset").is_disabled, f"the reset of {key}")
            if key not in UNSEEN:
                app.wait(partial(app.shows, before), f"the reset of {key}")


def test_controls_without_effect_are_disabled_with_a_reason(app: AppRun, opened: Open) -> None:
    page = opened(app, "background")
    assert setting(page, "fit").locator("select").is_disabled()
    assert "picture or video" in setting(page, "fit").inner_text()
    page.get_by_role("button", name="red.png").click()
    app.wait(setting(page, "fit").locator("select").is_enabled)
    page.locator("#tab-look").click()
    assert setting(page, "pan-x").locator("input[type=range]").is_disabled()
    setting(page, "zoom").locator("input[type=range]").press("End")
    app.wait(setting(page, "pan-x").locator("input[type=range]").is_enabled)
    assert app.live.config.adapt is False
    assert setting(page, "cpu-limit").locator("input").is_disabled()


def test_kinds_and_files_as_background(app: AppRun, opened: Open) -> None:
    page = opened(app)
    page.get_by_role("button", name="blue.png").click()
    app.wait(lambda: near(app, (220, 40, 30)))
    page.get_by_role("button", name="Colour", exact=True).click()
    app.wait(lambda: near(app, GREEN))
    page.locator("[data-kind=colour] input").fill("#1020d0")
    app.wait(lambda: near(app, (208, 32, 16)))
    page.get_by_role("button", name="Blur", exact=True).click()
    app.wait(lambda: not near(app, (208, 32, 16)))
    weak = app.newest
    page.locator("[data-kind=blur] input[type=range]").press("End")
    app.wait(lambda: app.differs(weak))
    assert (
        page.get_by_role("button", name="Blur", exact=True).get_attribute("aria-pressed") == "true"
    )


def test_what_is_included_is_chosen_by_its_picture(app: AppRun, opened: Open) -> None:
    page = opened(app)
    before = app.newest
    tile = page.locator("#included").get_by_role("button", name="Dusk")
    app.wait(lambda: bool(tile.locator("img").evaluate("image => image.naturalWidth === 192")))
    tile.click()
    app.wait(lambda: app.differs(before), "the scene")
    page.wait_for_selector("#included .tile[aria-pressed=true] >> text=Dusk")
    assert app.live.config.look.compositing.background == SceneSpec("dusk")
    assert setting(page, "fit").locator("select").is_disabled()


def test_a_slide_show_of_the_folder(app: AppRun, opened: Open) -> None:
    page = opened(app)
    page.get_by_role("button", name="Slide show").click()
    app.wait(lambda: near(app, (220, 40, 30)), "the first picture")
    seconds = page.locator("[data-kind=slides] input[type=number]")
    seconds.fill("1")
    seconds.press("Enter")
    app.wait(lambda: near(app, RED), "the second picture")


def test_the_picture_is_what_viewers_see(app: AppRun, opened: Open) -> None:
    page = opened(app)
    page.wait_for_selector("#empty", state="hidden")
    pixel = page.evaluate(
        "[...document.querySelector('#picture').getContext('2d').getImageData(188, 4, 1, 1).data]"
    )
    assert np.abs(np.subtract(pixel[2::-1], corner(app))).max() < 12


def test_a_reload_keeps_what_was_chosen(app: AppRun, opened: Open) -> None:
    page = opened(app, "look")
    setting(page, "feather").locator("input[type=number]").fill("6.5")
    setting(page, "feather").locator("input[type=number]").press("Enter")
    setting(page, "mirror").locator("input").click()
    app.wait(lambda: app.live.config.look.mirror)
    assert "token" not in page.url
    page.reload()
    page.wait_for_selector("body[data-link=open]")
    assert page.locator("#tab-look").get_attribute("aria-selected") == "true"
    assert setting(page, "feather").locator("input[type=number]").input_value() == "6.5"
    assert setting(page, "mirror").locator("input").is_checked()


def test_two_pages_stay_in_step(app: AppRun, opened: Open) -> None:
    first, second = opened(app, "look"), opened(app, "look")
    setting(first, "light-wrap").locator("input[type=range]").press("End")
    app.wait(
        lambda: setting(second, "light-wrap").locator("input[type=number]").input_value() == "1"
    )
    second.locator("#tab-background").click()
    second.get_by_role("button", name="red.png").click()
    first.locator("#tab-background").click()
    first.wait_for_selector(".tile[aria-pressed=true]")
    assert first.locator(".tile[aria-pressed=true]").inner_text() == "red.png"


def test_a_wrong_number_is_explained_at_its_place(app: AppRun, opened: Open) -> None:
    page = opened(app, "look")
    row = setting(page, "feather")
    row.locator("input[type=number]").fill("4000")
    row.locator("input[type=number]").press("Enter")
    assert "give a number from 0 to 100" in row.locator(".error").inner_text()
    assert app.live.config.look.compositing.feather_px == 0


def test_the_end_and_the_return_are_shown(start: Callable[..., AppRun], opened: Open) -> None:
    app = start()
    page = opened(app, "look")
    app.close()
    page.wait_for_selector("body[data-link=ended]")
    assert page.locator("#empty-title").inner_text() == "vidbg has ended"
    assert page.locator(".setting input:enabled").count() == 0
    start(port=app.port)
    page.wait_for_selector("body[data-link=open]")
    page.wait_for_selector("#empty", state="hidden")
    assert page.locator(".notice").inner_text().strip() == "Connected again."


def test_quitting_asks_first(app: AppRun, opened: Open) -> None:
    page = opened(app)
    page.get_by_role("button", name="Quit vidbg").click()
    page.get_by_role("button", name="Cancel").click()
    assert not app.ended
    page.get_by_role("button", name="Quit vidbg").click()
    page.locator("#dialog-yes").click()
    page.wait_for_selector("body[data-link=ended]")
    app.wait(lambda: app.ended)
    assert page.locator("#empty-title").inner_text() == "vidbg has ended"


def test_the_room_goes_on_air_only_after_a_question(app: AppRun, opened: Open) -> None:
    page = opened(app)
    button = page.get_by_role("button", name="No background")
    before = app.newest
    button.click()
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    button.click()
    page.get_by_role("button", name="Cancel").click()
    assert distance(app.newest, before) < 1
    button.click()
    page.locator("#dialog-yes").click()
    page.wait_for_selector("#stage.danger #room:visible")
    app.wait(lambda: not near(app, GREEN))
    page.get_by_role("button", name="Blur it now").click()
    page.wait_for_selector("#room", state="hidden")
    assert app.live.config.look.shows_room is False
