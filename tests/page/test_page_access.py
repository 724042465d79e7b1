"""Accessibility of the page: axe-core's rules, keyboard only, screen sizes, reduced motion."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from app_rig import AppRun

from vidbg.pipeline.live.controls import live_api

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.app

Open = Callable[..., "Page"]
AXE = Path(sys.prefix) / "axe/node_modules/axe-core/axe.min.js"
"""Where `make test-app` puts it."""

SHIFT_AND_PAINT = """() => new Promise((resolve) => {
    let shift = 0;
    new PerformanceObserver((list) => {
        for (const move of list.getEntries()) shift += move.hadRecentInput ? 0 : move.value;
    }).observe({ type: 'layout-shift', buffered: true });
    const [paint] = performance.getEntriesByName('first-contentful-paint');
    const blocking = performance.getEntriesByType('resource')
        .filter((part) => part.renderBlockingStatus === 'blocking').map(({ name }) => name);
    setTimeout(() => resolve([shift, paint.startTime, blocking]), 300);
})"""
OUTSIDE = """() => [...document.querySelectorAll('main :is(button, input, select)')]
    .filter((part) => {
        const { left, right, width } = part.getBoundingClientRect();
        return width && part.checkVisibility() && (left < 0 || right > innerWidth);
    })
    .map((part) => part.outerHTML.slice(0, 120))"""


def picture(colour: tuple[int, int, int]) -> bytes:
    """Return a PNG of one colour."""
    return cv2.imencode(".png", np.full((54, 96, 3), colour, np.uint8))[1].tobytes()


def tabs(page: Page) -> list[str]:
    return [
        str(tab.get_attribute("id")).removeprefix("tab-")
        for tab in page.locator("#tabs button:visible").all()
    ]


def findings(page: Page) -> list[str]:
    """Return what axe-core reports as serious or critical, with the elements."""
    report: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:200]}"
        for rule in report["violations"]
        if rule["impact"] in ("serious", "critical", "moderate")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 800), (400, 800)])
def test_axe_finds_nothing(
    app: AppRun,
    opened: Open,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    size: tuple[int, int],
) -> None:
    monkeypatch.setattr(live_api, "_new_file", lambda suffix: tmp_path / f"call{suffix}")
    if not AXE.exists():
        pytest.skip(f"axe-core is not in {AXE}: make test-app fetches it")
    page = opened(app, color_scheme=scheme, viewport={"width": size[0], "height": size[1]},
                  bypass_csp=True, reduced_motion="reduce")  # fmt: skip
    page.add_script_tag(path=AXE)
    for tab in tabs(page):
        page.locator(f"#tab-{tab}").click()
        page.wait_for_timeout(200)
        assert findings(page) == [], tab
    page.locator("#tab-profiles").click()
    page.locator("#profile-name").fill("Work")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_selector(".profile")
    page.locator("#explain").click()
    page.locator("#record").click()
    page.wait_for_selector("#recording:visible")
    assert findings(page) == []
    page.locator("#tab-background").click()
    page.locator("#picker").set_input_files(
        {"name": "letter.docx", "mimeType": "application/zip", "buffer": b"PK"}
    )
    page.wait_for_selector(".notice.bad")
    assert findings(page) == []
    page.get_by_role("button", name="No background").click()
    page.wait_for_selector("dialog[open]")
    assert findings(page) == []
    page.locator("#dialog-yes").click()
    page.wait_for_selector("#room:visible")
    assert findings(page) == []
    page.get_by_role("button", name="Quit vidbg").click()
    page.locator("#dialog-yes").click()
    page.wait_for_selector("body[data-link=ended]")
    assert findings(page) == []


@pytest.mark.parametrize("width", [360, 2560])
def test_nothing_is_cut_off(app: AppRun, opened: Open, width: int) -> None:
    page = opened(app, viewport={"width": width, "height": 800})
    page.wait_for_selector("#empty", state="hidden")
    for tab in tabs(page):
        page.locator(f"#tab-{tab}").click()
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, tab
        assert page.evaluate(OUTSIDE) == [], tab


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_is_painted_at_once_and_nothing_moves(
    app: AppRun, opened: Open, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    paints = []
    for _ in range(3):
        page = opened(app, viewport={"width": width, "height": 800})
        page.wait_for_selector("#empty", state="hidden")
        page.wait_for_timeout(300)
        shift, paint, blocking = page.evaluate(SHIFT_AND_PAINT)
        paints.append(round(paint))
        assert shift == 0
        assert blocking == []  # index.html brings all that the first paint needs
    with capsys.disabled():
        sys.stdout.write(f"\nfirst contentful paint at {width} px: {paints} ms\n")
    assert min(paints) < 1500


def test_the_picture_stays_in_sight_on_a_phone(app: AppRun, opened: Open) -> None:
    page = opened(app, "look", viewport={"width": 400, "height": 800})
    page.mouse.wheel(0, 5000)
    page.wait_for_timeout(300)
    box = page.locator("#stage").bounding_box()
    assert box is not None
    assert box["y"] >= 0
    assert page.evaluate("scrollY") > 100


def press_until(page: Page, selector: str, key: str = "Tab", limit: int = 60) -> None:
    """Press a key until the focus is on an element."""
    for _ in range(limit):
        page.keyboard.press(key)
        if page.evaluate("selector => document.activeElement?.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached with {key}")


def test_the_keyboard_alone_does_it_all(app: AppRun, opened: Open) -> None:
    page = opened(app)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    press_until(page, "#tab-background")
    press_until(page, "#gallery .tile")
    press_until(page, "[data-key]:focus-visible", "ArrowRight", 1)
    page.keyboard.press("Enter")
    app.wait(lambda: app.live.config.look.compositing.background.files != ())
    press_until(page, "#tab-background", "Shift+Tab")
    press_until(page, "#tab-look", "ArrowRight")
    press_until(page, "[data-key=feather] input[type=range]")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    app.wait(lambda: app.live.config.look.compositing.feather_px == 2)
    press_until(page, "[data-key=feather] .reset", "Shift+Tab")
    page.keyboard.press("Enter")
    app.wait(lambda: app.live.config.look.compositing.feather_px == 0)
    press_until(page, "[data-key=mirror] input")
    page.keyboard.press("Space")
    app.wait(lambda: app.live.config.look.mirror)
    press_until(page, "#quit", "Shift+Tab")
    page.keyboard.press("Enter")
    press_until(page, "#dialog-yes")
    page.keyboard.press("Enter")
    app.wait(lambda: app.ended)


def test_the_keyboard_alone_adds_and_deletes_a_background(app: AppRun, opened: Open) -> None:
    page = opened(app)
    page.on("filechooser", lambda _: None)  # asked for just before the key, it may come too late
    press_until(page, "#add", limit=90)
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(
        {"name": "yellow.png", "mimeType": "image/png", "buffer": picture((30, 220, 240))}
    )
    page.wait_for_selector("#gallery .tile[aria-pressed=true] >> text=yellow")
    press_until(page, "#gallery .tile[aria-pressed=true]")
    press_until(page, "#gallery .tile:not([aria-pressed=true])", "ArrowLeft", 1)
    page.keyboard.press("Enter")
    page.wait_for_selector("#gallery .tile[aria-pressed=true] >> text=red.png")
    press_until(page, "#gallery li:last-child .tile", "ArrowRight", 3)
    page.keyboard.press("Delete")
    press_until(page, "#dialog-yes")
    page.keyboard.press("Enter")
    page.wait_for_selector("#gallery .tile >> text=yellow", state="detached")
    page.wait_for_selector("#gallery .tile:focus")


def test_the_keyboard_alone_saves_uses_renames_and_deletes_profiles(
    app: AppRun, opened: Open
) -> None:
    page = opened(app)
    press_until(page, "#tab-background")
    press_until(page, "#tab-profiles", "ArrowRight")
    press_until(page, "#profile-name")
    page.keyboard.type("Work")
    page.keyboard.press("Enter")
    page.wait_for_selector(".profile >> text=Work")
    app.live.change(replace(app.live.config, mirror=True))
    page.wait_for_selector(".profile .tag", state="hidden")
    press_until(page, "[data-key='apply Work']", "Shift+Tab")
    page.keyboard.press("Enter")
    app.wait(lambda: not app.live.config.mirror)
    press_until(page, "[data-key='rename Work']")
    page.keyboard.press("Enter")
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type("Evening")
    page.keyboard.press("Enter")
    page.wait_for_selector(".profile >> text=Evening")
    page.wait_for_selector(".profile :focus")
    press_until(page, "[data-key='delete Evening']", limit=3)
    page.keyboard.press("Enter")
    press_until(page, "#dialog-yes")
    page.keyboard.press("Enter")
    page.wait_for_selector(".profile", state="detached")
    page.wait_for_selector("#pane-profiles:focus")


def test_the_keyboard_alone_starts_and_stops_an_output(
    start: Callable[..., AppRun], opened: Open
) -> None:
    app = start(output="none", own_sink=False)
    page = opened(app)
    press_until(page, "#tab-background")
    press_until(page, "#tab-output", "ArrowRight")
    page.wait_for_selector("[id='output-web:']")
    press_until(page, "[id='output-web:']")
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type("0")
    page.keyboard.press("Enter")
    page.wait_for_selector(".lamp[data-state=on]")
    press_until(page, "[data-key^='stop ']", "Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Nobody can see the picture")
    page.wait_for_selector("#pane-output:focus")
    assert app.live.config.outputs == ("none",)


def test_focus_is_visible_and_motion_stops(app: AppRun, opened: Open) -> None:
    page = opened(app, reduced_motion="reduce")
    press_until(page, "#theme")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "3px"
    moving = page.evaluate("document.getAnimations().length")
    assert moving == 0


def test_the_theme_can_be_chosen_and_is_kept(app: AppRun, opened: Open) -> None:
    page = opened(app, color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.locator("#theme").click()
    assert page.evaluate(ground) == light
    page.locator("#theme").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
