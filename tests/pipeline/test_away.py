"""The away card, the views of a preview, and the statistics of a run."""

from __future__ import annotations

import shutil
import time
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from live_desk import GREEN, NAVY, ROOMS, Desk, near
from live_rig import HEIGHT, PERSON, WIDTH

from vidbg.errors import ConfigError
from vidbg.frame import Frame, Image
from vidbg.pipeline.live import LiveStatus
from vidbg.pipeline.live.away import card_fonts
from vidbg.pipeline.live.away.away_card import away_card
from vidbg.pipeline.live.history import History
from vidbg.pipeline.live.outputs import frame_buffer
from vidbg.pipeline.live.stages import stage
from vidbg.pipeline.live.status import State

TEXT = "I am getting a coffee and will be back with you in about ten minutes; go on without me"


def letters(image: Image) -> int:
    """Bright pixels: those of text and cup."""
    return int((image.min(axis=2) > 170).sum())


# --- the card -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(640, 480), (128, 96), (360, 640)])
@pytest.mark.parametrize("text", ["", "Be right back", TEXT * 5, "a" * 400, "one\ntwo\nthree"])
def test_any_text_fits_into_a_card(size: tuple[int, int], text: str) -> None:
    card = away_card(text, None, *size)
    assert card.shape == (size[1], size[0], 3)
    assert card.dtype == np.uint8
    edge = max(2, size[0] // 25)
    inner = card[:, edge:-edge]
    assert letters(inner) == letters(card) > 10
    assert letters(card[: edge // 2]) == letters(card[-edge // 2 :]) == 0
    if text:
        assert letters(card) > 1.05 * letters(away_card("", None, *size))


def test_an_image_fills_the_card_and_its_foot_is_darkened(tmp_path: Path) -> None:
    file = tmp_path / "away.png"
    cv2.imwrite(str(file), np.full((90, 160, 3), (220, 200, 180), np.uint8))
    bare, card = (away_card(text, file, 640, 480) for text in ("", "Be right back"))
    assert (bare == (220, 200, 180)).all()
    assert (card[:240] == (220, 200, 180)).all()
    assert card[-5, 5].max() < 100
    assert letters(card[360:]) > 500
    with pytest.raises(ConfigError, match="broken"):
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"no image")
        away_card("", broken, 64, 48)


def test_what_no_font_can_write_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(card_fonts, "SYSTEM_FONTS", ("no-such-font.ttf",))
    empty = away_card("", None, 640, 480)
    for text in ("马上回来", "مرحبا", "🍔☕", "\u200b\ufe0f\x07"):
        assert (away_card(text, None, 640, 480) == empty).all(), text
    assert "马上回来" in caplog.text
    assert card_fonts.writable("Lunch, back at 2 🍔\ufe0f") == ("Lunch, back at 2 ", None)
    # A rest that makes no sense is worse than no text
    assert card_fonts.writable("OK 马 上 回 来") == ("", None)


def test_other_scripts_use_the_systems_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(card_fonts, "_from_fontconfig", lambda text: asked.append(text))
    monkeypatch.setattr(card_fonts, "SYSTEM_FONTS", ())
    assert card_fonts.writable("Back at 2!") == ("Back at 2!", None)
    assert not asked
    card_fonts.writable("Я скоро вернусь")
    assert asked == ["Я скоро вернусь"]


# --- away during a run ----------------------------------------------------------------------------


def card_of(desk: Desk) -> Image:
    return away_card(desk.run.config.away_text, desk.run.config.away_image, WIDTH, HEIGHT)


def test_viewers_see_the_card_within_two_frames_and_the_camera_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        time.sleep(0.6)  # the card is drawn by then
        observed = desk.seen["web:1"]
        for _ in range(3):
            count = len(observed)
            desk.run.set_away(True)
            desk.wait(lambda: desk.status.state.value == "away")
            desk.wait(lambda count=count: len(observed) > count + 8)  # type: ignore[misc]
            assert not any(each.person for each in observed[count + 2 :])
            assert (desk.run.snapshot() == card_of(desk)).all()
            assert not desk.run._supervisor.pipeline.camera.active
            assert desk.run.away
            desk.run.set_away(False)
            assert desk.wait_person() < 2
            assert not desk.run.away
    assert desk.leaks == 0


@pytest.mark.parametrize("background", ["none", "blur", "green"])
def test_away_hides_the_room(background: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch, background=background) as desk:
        desk.wait_person()
        time.sleep(0.4)
        desk.run.set_away(True)
        count = len(desk.seen["web:1"])
        desk.change(camera="two", mirror=True)
        time.sleep(0.5)
        late = desk.seen["web:1"][count + 2 :]
        assert late
        assert not any(each.leaks or each.person for each in late)
        assert desk.status.state.value == "away"
        assert not any(near(desk.run.snapshot(), room).any() for room in ROOMS.values())


@pytest.mark.parametrize("part", ["network", "camera"])
def test_away_works_at_once_while_a_stage_hangs(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATIENCE_S", "FIRST_PATIENCE_S"):
        monkeypatch.setattr(stage, name, 0.6)
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        time.sleep(0.4)
        place = desk.network if part == "network" else desk.cameras["one"]
        place.fault = place.hang
        time.sleep(0.1)
        desk.run.set_away(True)
        count = len(desk.seen["web:1"])
        time.sleep(0.3)
        place.fault = None
        place.released.set()  # what was held back must not come through now
        time.sleep(0.3)
        assert not any(each.person for each in desk.seen["web:1"][count + 2 :])
        desk.run.set_away(False)
        desk.wait_person()
    assert desk.leaks == 0


def test_before_the_card_is_drawn_and_without_its_image_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "away.png"
    file.write_bytes(b"no image")
    with Desk(monkeypatch, away_image=file, away_text="Lunch") as desk:
        desk.run.set_away(True)
        expected = away_card("Lunch", None, WIDTH, HEIGHT)
        desk.wait(lambda: (desk.run.snapshot() == expected).all())
        cv2.imwrite(str(file), np.full((90, 160, 3), NAVY, np.uint8))
        desk.change(away_text="")
        desk.wait(lambda: (desk.run.snapshot() == NAVY).all())
    assert not any(each.person for each in desk.seen["web:1"])
    assert desk.leaks == 0


def test_an_away_image_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        with pytest.raises(ConfigError, match=r"away-image 'missing.png' is not a file"):
            desk.change(away_image="missing.png")


# --- views ----------------------------------------------------------------------------------------


class Viewer:
    """A preview that may look at something else than the output."""

    smooth, watches = False, True

    def __init__(self) -> None:
        self.view = "output"
        self.image: Any = None

    def show(self, frame: Frame, _status: LiveStatus) -> None:
        self.image = frame.image

    def sees(self, pixel: tuple[int, int], colour: tuple[int, int, int]) -> bool:
        return self.image is not None and bool(near(self.image[pixel][None, None], colour).all())

    def close(self) -> None:
        """Nothing is open."""


def test_a_preview_sees_the_output_the_mask_or_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = Viewer()
    inside, outside = (4, 4), (-4, -4)
    with Desk(monkeypatch, previews=[viewer]) as desk:
        desk.wait_person()
        expected = {
            "output": (ROOMS["one"], GREEN),
            "mask": ((255, 255, 255), (0, 0, 0)),
            "camera": (ROOMS["one"], ROOMS["one"]),
        }
        for view, (person, background) in expected.items():
            viewer.view = view
            desk.wait(partial(viewer.sees, outside, background))
            assert viewer.sees(inside, person)
            snapshot = desk.run.snapshot(view)  # type: ignore[arg-type]  # one of View
            assert near(snapshot[outside][None, None], background).all()
        desk.run.set_away(True)
        desk.wait(lambda: not near(viewer.image, ROOMS["one"]).any())
        assert not near(desk.run.snapshot("camera"), ROOMS["one"]).any()
    assert desk.leaks == 0


def test_an_old_mask_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidbg.pipeline.live.previews.views.FRESH_S", 0.2)
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        mask = desk.run.snapshot("mask")
        assert mask[4, 4].tolist() == [255, 255, 255]
        assert (mask[PERSON + 8 :] == 0).all()
        desk.cameras["one"].fault = desk.cameras["one"].hang
        time.sleep(0.4)
        assert not (desk.run.snapshot("mask") == 255).any()
        assert not near(desk.run.snapshot("camera"), ROOMS["one"]).any()


def test_a_snapshot_is_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        image = desk.run.snapshot()
        image[:] = 255
        assert desk.run.snapshot()[-4, -4].tolist() == list(GREEN)


# --- statistics -----------------------------------------------------------------------------------


def test_a_run_keeps_a_sample_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidbg.pipeline.live.history.PERIOD_S", 0.3)
    with Desk(monkeypatch) as desk:
        assert desk.run.history == []
        desk.wait(lambda: desk.statuses and desk.status.state.value == "live")
        count = len(desk.run.history)
        desk.wait(lambda: len(desk.run.history) >= count + 4)
        samples = desk.run.history[count + 1 :]
        assert all(5 < sample.fps < 60 for sample in samples)
        assert all(
            0 < (sample.latency_p50_ms or 0) <= (sample.latency_p95_ms or 0) < 500
            for sample in samples
        )
        assert all((sample.memory_mb or 50) > 20 for sample in samples)
        assert samples[0].time_s < samples[-1].time_s <= time.time()
        assert {sample.state for sample in samples} == {State.LIVE}
        desk.run.set_away(True)
        desk.wait(lambda: desk.run.history[-1].state is State.AWAY)
        desk.wait(lambda: desk.run.history[-1].fps == 0)
        assert desk.run.history[-1].latency_p95_ms is None


def test_ten_minutes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidbg.pipeline.live.history.PERIOD_S", 0.0)
    history = History()
    for count in range(650):
        history.record(State.LIVE, count, 2 * count, deque([0.1, 0.02]))
    assert len(history.samples) == 600
    assert history.samples[-1].dropped == 2
    assert history.samples[-1].latency_p50_ms == pytest.approx(20)


def test_statistics_go_on_where_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    history, start = History(), time.monotonic()
    for second, clock in enumerate((5000.0, 5001.0, 1402.0, 1403.0, 5010.0), 1):
        monkeypatch.setattr("time.time", lambda now=clock: now)
        monkeypatch.setattr("time.monotonic", lambda now=start + 1.01 * second: now)
        history.record(State.LIVE, 30 * second, 0, deque())
    assert [sample.time_s for sample in history.samples] == [5000, 5001, 5002, 5003, 5010]
    assert history.samples[-1].fps == pytest.approx(30 / 1.01)


def test_the_run_names_its_backend_and_why_others_are_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frame_buffer, "HOLD_S", 0.2)
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        backend = desk.run.backend
        assert (backend.name, backend.precision) == ("constant", "fp32")
        assert backend.network == "resnet50 at 86016 pixels"
