"""Changes of a compositor: fades, what stays open, and that a fade never shows the room."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from live_rig import Rig

from vidbg.compositing import CompositingConfig, Compositor
from vidbg.compositing.backgrounds import (
    BackgroundSpec,
    BlurSpec,
    ColourSpec,
    FileSpec,
    PassthroughSpec,
)
from vidbg.errors import ConfigError, SourceError
from vidbg.frame import Frame
from vidbg.sources import open_frames

BLACK, WHITE = ColourSpec((0, 0, 0)), ColourSpec((255, 255, 255))
ROOM = (7, 250, 119)
NOBODY = np.zeros((48, 64), np.float32)


def room(pts: float) -> Frame:
    return Frame(np.full((48, 64, 3), ROOM, np.uint8), pts, 0)


def faded(compositor: Compositor, *times: float) -> list[int]:
    return [int(compositor(room(pts), NOBODY).image[0, 0, 0]) for pts in times]


class Clip:
    """A video of one grey level a frame, ten a second; breaks off at `broken`."""

    open_now = 0

    def __init__(self, broken: int = 99) -> None:
        type(self).open_now += 1
        self._broken, self._open = broken, True

    def __iter__(self) -> Iterator[Frame]:
        for index in range(20):
            if index == self._broken:
                raise SourceError("the disk is out")
            yield Frame(np.full((8, 8, 3), 10 * index, np.uint8), index / 10, index)

    def close(self) -> None:
        if self._open:
            self._open = False
            type(self).open_now -= 1


def test_one_background_replaces_another_gradually() -> None:
    config = CompositingConfig(BLACK, fade_s=1)
    compositor = Compositor(config, open_frames)
    assert faded(compositor, 0.0) == [0]
    compositor.change(replace(config, background=WHITE))
    levels = faded(compositor, *(1 + n / 20 for n in range(24)))
    assert levels[0] == 0
    assert levels[10] == pytest.approx(128, abs=1)
    assert levels[20:] == [255] * 4
    assert all(0 <= after - before <= 21 for before, after in pairwise(levels))


def test_without_a_fade_it_changes_at_once() -> None:
    config = CompositingConfig(BLACK)
    compositor = Compositor(config, open_frames)
    compositor.change(replace(config, background=WHITE))
    assert faded(compositor, 0.0) == [255]


@pytest.mark.parametrize("pts", [-5.0, 500.0])
def test_a_jump_in_time_ends_a_fade(pts: float) -> None:
    config = CompositingConfig(BLACK, fade_s=2)
    compositor = Compositor(config, open_frames)
    compositor.change(replace(config, background=WHITE))
    assert faded(compositor, 0.0, 1.0, pts, 1.0) == [0, 128, 255, 255]


def test_a_change_during_a_fade() -> None:
    config = CompositingConfig(BLACK, fade_s=1)
    compositor = Compositor(config, open_frames)
    compositor.change(replace(config, background=WHITE))
    faded(compositor, 0.0, 0.5)
    compositor.change(replace(config, background=ColourSpec((50, 50, 50))))
    assert faded(compositor, 0.6, 2.0) == [255, 50]


@pytest.mark.parametrize(("before", "after"), [("none", "black"), ("black", "none")])
def test_the_room_is_never_faded(before: str, after: str) -> None:
    """Neither out nor in: it is shown or it is not."""
    specs: dict[str, BackgroundSpec] = {"none": PassthroughSpec(), "black": BLACK}
    config = CompositingConfig(specs[before], fade_s=1)
    compositor = Compositor(config, open_frames)
    faded(compositor, 0.0)
    compositor.change(replace(config, background=specs[after]))
    for pts in (0.0, 0.1, 0.5, 0.9):
        image = compositor(room(pts), NOBODY).image
        assert (image == (ROOM if after == "none" else (0, 0, 0))).all()


def test_a_fade_from_blur_keeps_the_room_blurred() -> None:
    stripes = np.zeros((720, 1280, 3), np.uint8)
    stripes[:, (np.arange(1280) // 12) % 2 == 0] = 255
    frame, nobody = Frame(stripes, 0.0, 0), np.zeros((720, 1280), np.float32)
    config = CompositingConfig(BlurSpec(20), fade_s=1)
    compositor = Compositor(config, open_frames)
    compositor.change(replace(config, background=WHITE))
    for pts in (0.0, 0.3, 0.6, 0.9):
        inside = compositor(replace(frame, pts=pts), nobody).image[:, 320:-320].astype(int)
        assert np.ptp(inside[:, :, 0], axis=1).max() <= 3


def moving(path: Path) -> CompositingConfig:
    path.write_bytes(b"GIF89a")
    return CompositingConfig(FileSpec(path))


def test_a_video_continues_while_the_edge_changes_and_restarts_when_set_again(
    tmp_path: Path,
) -> None:
    config = moving(tmp_path / "a.gif")
    compositor = Compositor(config, lambda _path, **_: Clip())
    assert faded(compositor, 0.0, 0.5) == [0, 50]
    config = replace(config, feather_px=2, light_wrap=0.5)
    compositor.change(config)
    assert faded(compositor, 0.6) == [60]
    compositor.change(replace(config, background=FileSpec(tmp_path / "a.gif")))
    assert faded(compositor, 0.7) == [0]
    compositor.close()
    assert Clip.open_now == 0


def test_a_fade_closes_what_it_leaves(tmp_path: Path) -> None:
    config = replace(moving(tmp_path / "a.gif"), fade_s=0.5)
    compositor = Compositor(config, lambda _path, **_: Clip())
    faded(compositor, 0.0)
    compositor.change(replace(config, background=WHITE))
    assert faded(compositor, 0.1)[0] == 10
    assert Clip.open_now == 1
    faded(compositor, 0.7)
    assert Clip.open_now == 0
    compositor.change(config)
    faded(compositor, 0.8)
    compositor.change(replace(config, background=BLACK))
    compositor.close()
    assert Clip.open_now == 0


def test_a_background_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    config = CompositingConfig(WHITE, fade_s=1)
    compositor = Compositor(config, open_frames)
    with pytest.raises(ConfigError, match="does not exist"):
        compositor.change(replace(config, background=FileSpec(tmp_path / "none.png")))
    assert faded(compositor, 0.0) == [255]


def test_a_fade_in_a_live_run() -> None:
    with Rig() as rig:
        rig.wait_live()
        look = rig.supervisor.look
        compositing = replace(look.compositing, fade_s=0.3)
        for level in (9, 90, 160):
            compositing = replace(compositing, background=ColourSpec((level, 9, 9)))
            rig.supervisor.change(replace(look, compositing=compositing))
            rig.wait_live()
            time.sleep(0.1)
        assert not rig.leaked
