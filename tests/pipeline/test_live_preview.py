"""What the preview window's keys do to a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidbg.compositing import BackgroundSpec, CompositingConfig
from vidbg.compositing.backgrounds import BlurSpec, ColourSpec, FileSpec, PassthroughSpec
from vidbg.errors import ConfigError
from vidbg.frame import Frame, StreamInfo
from vidbg.pipeline.live import Appearance, LiveStatus, State
from vidbg.pipeline.live.previews.window_preview import LivePreview
from vidbg.sinks.preview.preview_keys import Action

FRAME = Frame(np.zeros((48, 64, 3), np.uint8), 0.0, 0)
GREEN, RED = ColourSpec((0, 255, 0)), ColourSpec((0, 0, 255))
MISSING = FileSpec(Path("missing.png"))


class FakeWindow:
    """A window whose user presses the keys in `pressed`."""

    def __init__(self) -> None:
        self.pressed: list[Action] = []
        self.written, self.closed = 0, False
        self.passthrough = False
        self.status: Any = None

    def adapt(self, info: StreamInfo) -> None:
        self.size = info.width, info.height

    def write(self, frame: Frame) -> None:
        assert self.size == (frame.width, frame.height)
        self.written += 1

    def take_keys(self) -> list[Action]:
        pressed, self.pressed = self.pressed, []
        return pressed

    def close(self) -> None:
        self.closed = True


class FakeRun:
    """A supervisor that only keeps its look."""

    def __init__(self, background: BackgroundSpec) -> None:
        self.look = Appearance(CompositingConfig(background, feather_px=2.0), mirror=True)
        self.stopped = False

    def change(self, look: Appearance) -> None:
        if look.compositing.background == MISSING:
            raise ConfigError("background 'missing.png' does not exist")
        self.look = look

    def stop(self) -> None:
        self.stopped = True


class Desk:
    """A preview on fakes."""

    def __init__(self, background: BackgroundSpec, choice: list[BackgroundSpec]) -> None:
        self.window, self.run = FakeWindow(), FakeRun(background)
        self.preview = LivePreview(self.window, choice)  # type: ignore[arg-type]  # a fake
        self.preview.run = self.run

    def press(self, *actions: Action, reason: str | None = None) -> BackgroundSpec:
        self.window.pressed = list(actions)
        for _ in range(2):
            self.preview.show(FRAME, LiveStatus(State.LIVE, reason, 30.0, 90.0, 20.0, None))
        return self.run.look.compositing.background


def test_b_and_p_go_round_the_backgrounds() -> None:
    desk = Desk(GREEN, [GREEN, RED, BlurSpec()])
    chosen = [desk.press(Action.NEXT_BACKGROUND) for _ in range(3)]
    assert chosen == [RED, BlurSpec(), GREEN]
    assert desk.press(Action.PREVIOUS_BACKGROUND) == BlurSpec()
    assert (desk.run.look.mirror, desk.run.look.compositing.feather_px) == (True, 2.0)


def test_a_background_that_cannot_be_read_is_skipped_and_reported() -> None:
    desk = Desk(GREEN, [GREEN, MISSING, RED])
    assert desk.press(Action.NEXT_BACKGROUND) == RED
    desk = Desk(GREEN, [MISSING])
    assert desk.press(Action.NEXT_BACKGROUND) == GREEN
    assert "does not exist" in desk.window.status.note


def test_passthrough_and_back() -> None:
    desk = Desk(GREEN, [GREEN, RED])
    desk.press(Action.NEXT_BACKGROUND)
    assert desk.press(Action.PASSTHROUGH) == PassthroughSpec()
    assert desk.window.passthrough
    assert desk.press(Action.BACKGROUND) == RED
    assert not desk.window.passthrough


def test_the_room_is_hidden_also_if_the_background_can_no_longer_be_read() -> None:
    desk = Desk(GREEN, [MISSING, RED])
    desk.press(Action.PASSTHROUGH)
    assert desk.press(Action.BACKGROUND) == BlurSpec()
    assert not desk.window.passthrough
    assert "does not exist" in desk.window.status.note


def test_closing_the_window_ends_the_run() -> None:
    desk = Desk(GREEN, [GREEN])
    desk.press(Action.QUIT)
    assert desk.run.stopped
    desk.preview.close()
    assert desk.window.closed


@pytest.mark.parametrize("reason", [None, "camera: the cable is out"])
def test_the_window_shows_the_status(reason: str | None) -> None:
    desk = Desk(GREEN, [GREEN])
    desk.press(reason=reason)
    message = desk.window.status
    assert (message.state, message.fps, message.latency_ms, message.note) == (
        "live",
        30.0,
        20.0,
        reason,
    )
