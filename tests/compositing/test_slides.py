"""The slide show: order, times, fades, broken images, and memory."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakSet

import cv2
import numpy as np
import pytest

import vidbg
from vidbg.compositing import CompositingConfig, Compositor
from vidbg.compositing.backgrounds import (
    SlidesSpec,
    check_background,
    open_background,
    parse_background,
)
from vidbg.compositing.backgrounds import slide_show as module
from vidbg.compositing.backgrounds.base import Background
from vidbg.compositing.backgrounds.image import ImageBackground
from vidbg.compositing.backgrounds.slide_show import SlideShow
from vidbg.errors import ConfigError
from vidbg.frame import Frame
from vidbg.option_values import anchored
from vidbg.sources import open_frames
from vidbg.util.photo_file import read_picture

NOBODY = np.zeros((9, 16), np.float32)


def slide(folder: Path, name: str, level: int, size: tuple[int, int] = (9, 16)) -> Path:
    path = folder / name
    cv2.imwrite(str(path), np.full((*size, 3), level, np.uint8))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, 10, 20 and 30 grey, and things that are none."""
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    for name, level in (("b.png", 20), ("a.png", 10), ("c.png", 30)):
        slide(rooms, name, level)
    (rooms / "notes.txt").write_text("no picture")
    (rooms / ".hidden.png").write_bytes(b"no picture")
    return rooms


@pytest.fixture
def show(folder: Path) -> SlideShow:
    opened = open_background(SlidesSpec(folder, 2), open_frames=open_frames)
    assert isinstance(opened, SlideShow)
    return opened


def levels(background: Background, *times: float) -> list[int]:
    frames = (Frame(np.zeros((9, 16, 3), np.uint8), pts, 0) for pts in times)
    return [int(background.at(frame, NOBODY)[0, 0, 0]) for frame in frames]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("slides:rooms", SlidesSpec(Path("rooms"))),
        ("slides:rooms:5", SlidesSpec(Path("rooms"), 5)),
        ("slides:/a/b c:2.5", SlidesSpec(Path("/a/b c"), 2.5)),
        ("slides:C:/rooms", SlidesSpec(Path("C:/rooms"))),
        ("slides:C:/rooms:60", SlidesSpec(Path("C:/rooms"), 60)),
    ],
)
def test_words(text: str, spec: SlidesSpec) -> None:
    assert parse_background(text) == spec
    assert parse_background(str(spec)) == spec


@pytest.mark.parametrize("text", ["slides:", "slides: ", "slides::5"])
def test_a_missing_folder_name_is_reported(text: str) -> None:
    with pytest.raises(ConfigError, match="names no folder; give slides:FOLDER"):
        parse_background(text)


@pytest.mark.parametrize("seconds", ["0", "-1", "0.5", "nan", "inf", "86401"])
def test_times_out_of_range_are_refused(seconds: str) -> None:
    with pytest.raises(ConfigError, match=r"the time of a slide is .*; allowed are 1 to 86400 s"):
        parse_background(f"slides:rooms:{seconds}")


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for name, reason in (
        ("none", "does not exist"),
        ("file", "is not a folder"),
        ("empty", "holds no pictures"),
    ):
        with pytest.raises(ConfigError, match=f"{name}' {reason}.*allowed are"):
            check_background(SlidesSpec(tmp_path / name))
    (tmp_path / "empty" / "a.png").write_bytes(b"broken")
    with pytest.raises(ConfigError, match=r"no picture in the folder .* can be read"):
        open_background(SlidesSpec(tmp_path / "empty"), open_frames=open_frames)


def test_relative_folders_in_the_file_are_taken_from_there(tmp_path: Path) -> None:
    from vidbg.option_table import BACKGROUND

    result = anchored(BACKGROUND, "slides:rooms:5", tmp_path)
    assert result == f"slides:{tmp_path / 'rooms'}:5"
    assert anchored(BACKGROUND, "blur", tmp_path) == "blur"


def test_pictures_come_by_name_and_again(show: SlideShow) -> None:
    assert levels(show, 5.0, 6.9, 7.0, 8.9, 9.1, 10.9, 11.0, 13.0) == [
        10,
        10,
        20,
        20,
        30,
        30,
        10,
        20,
    ]


def test_after_a_step_back_or_a_gap_it_continues_from_the_current_picture(show: SlideShow) -> None:
    assert levels(show, 0.0, 2.0, 1.0, 2.9, 3.1) == [10, 20, 20, 20, 30]
    assert levels(show, 500.0, 501.9, 502.1) == [10, 10, 20]


def test_slides_fade(folder: Path) -> None:
    config = CompositingConfig(SlidesSpec(folder, 2), fade_s=1)
    compositor = Compositor(config, open_frames)

    def shown(pts: float) -> int:
        frame = Frame(np.zeros((9, 16, 3), np.uint8), pts, 0)
        return int(compositor(frame, NOBODY).image[0, 0, 0])

    assert [shown(pts) for pts in (0.0, 1.9, 2.0, 2.25, 2.5, 2.75, 3.0)] == [
        10,
        10,
        10,
        12,
        15,
        18,
        20,
    ]
    compositor.change(replace(config, fade_s=0))
    assert [shown(pts) for pts in (3.9, 4.0)] == [20, 30]


def test_pictures_that_come_and_go_are_noticed(show: SlideShow, folder: Path) -> None:
    slide(folder, "ab.png", 15)
    (folder / "c.png").unlink()
    assert levels(show, 0.0, 2.0, 4.0, 6.0) == [10, 15, 20, 10]
    for path in folder.glob("*.png"):
        path.unlink()
    folder.joinpath("notes.txt").unlink()
    assert levels(show, 8.0)[0] in (10, 15)  # the next was decoded already
    last = levels(show, 10.0)
    assert levels(show, 12.0, 14.0) == last * 2


def test_one_picture_stays(tmp_path: Path) -> None:
    slide(tmp_path, "a.png", 40)
    show = open_background(SlidesSpec(tmp_path, 1), open_frames=open_frames)
    assert show is not None
    assert levels(show, *range(5)) == [40] * 5


def test_broken_pictures_are_skipped_with_one_warning(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 20)  # a busy computer decodes slowly
    for name in ("aa.png", "ab.jpg"):
        (folder / name).write_bytes(b"\x89PNG\r\n broken")
    show = open_background(SlidesSpec(folder, 1), open_frames=open_frames)
    assert show is not None
    with caplog.at_level(logging.WARNING):
        assert levels(show, *range(7)) == [10, 20, 30, 10, 20, 30, 10]
    (warning,) = caplog.messages
    assert "aa.png is skipped, and so is every other that cannot be read" in warning


def test_the_next_picture_is_decoded_elsewhere_and_a_slow_one_is_not_waited_for(
    show: SlideShow, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, threads = threading.Event(), []

    def slow(path: Path) -> object:
        threads.append(threading.current_thread())
        go.wait(10)
        return read_picture(path)

    monkeypatch.setattr(module, "read_picture", slow)
    monkeypatch.setattr(module, "PATIENCE_S", 0.01)
    assert levels(show, 0.0, 2.0, 2.1, 9.0) == [10] * 4
    go.set()
    monkeypatch.setattr(module, "PATIENCE_S", 5)
    assert levels(show, 9.1, 9.2) == [20, 20]
    assert threading.main_thread() not in threads
    show.close()


def test_two_pictures_are_in_memory_at_most(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive = WeakSet[ImageBackground]()
    make = ImageBackground.__init__

    def counted(self: ImageBackground, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        alive.add(self)

    monkeypatch.setattr(ImageBackground, "__init__", counted)
    for number in range(5):
        slide(folder, f"d{number}.png", 40 + number)
    show = open_background(SlidesSpec(folder, 2), open_frames=open_frames)
    assert show is not None
    show.fade_s = 1
    counts = []
    for n in range(60):
        levels(show, n / 3)
        if show._next is not None:  # type: ignore[attr-defined]
            show._next.result(5)  # type: ignore[attr-defined]
        counts.append(len(alive))
    assert max(counts) == 2


def test_a_large_picture_is_scaled_down(tmp_path: Path) -> None:
    slide(tmp_path, "a.png", 40, (30, 6000))
    show = open_background(SlidesSpec(tmp_path, 1), open_frames=open_frames)
    assert isinstance(show, SlideShow)
    assert show._current[1]._image.shape == (20, module.MAX_SIDE_PX, 3)


def test_slides_behind_a_file_are_no_target(folder: Path, tmp_path: Path) -> None:
    picture = slide(tmp_path, "in.png", 99)
    with pytest.raises(ConfigError, match="is the background; give another name"):
        vidbg.process(picture, folder / "b.png", background=SlidesSpec(folder))
