"""The preview window: its keys, and the window itself with OpenCV's functions replaced, or real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fake_windows import FakeWindows

from vidbg.errors import SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.preview import window
from vidbg.sinks.preview.overlay import PreviewStatus
from vidbg.sinks.preview.preview_keys import ANSWER_S, EARLIEST_ANSWER_S, Action, PreviewKeys
from vidbg.sinks.preview.window import WindowSink

INFO = StreamInfo(64, 48, live=True)


def frame(index: int) -> Frame:
    return Frame(np.full((48, 64, 3), index, np.uint8), index / 30, index)


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "action"),
    [
        *[("q", "quit"), ("\x1b", "quit"), ("b", "next_background"), ("n", "next_background")],
        *[("N", "next_background"), ("p", "previous_background"), ("m", "mirror"), ("f", "fps")],
        *[("h", "help"), ("?", "help"), ("y", None), ("x", None), ("s", None)],
    ],
)
def test_keys_and_actions(key: str, action: str | None) -> None:
    assert PreviewKeys(mirror=True, now=0.0).press(key, 1.0) == action


def test_keys_that_change_the_view() -> None:
    keys = PreviewKeys(mirror=True, now=0.0)
    before = keys.view(None, 100.0)
    assert (before.mirror, before.figures, before.help, before.hint) == (True, False, False, False)
    for key in "mfh":
        keys.press(key, 100.0)
    after = keys.view(None, 100.0)
    assert (after.mirror, after.figures, after.help) == (False, True, True)
    assert keys.view(None, 1.0).hint


class Asked:
    """The question whether to show the room, on the screen since time 0."""

    def __init__(self) -> None:
        self.keys = PreviewKeys(mirror=True, now=-100.0)
        assert self.keys.press("s", -1.0) is None
        assert self.keys.view(None, 0.0).answer_s == ANSWER_S

    def standing(self, now: float) -> bool:
        return self.keys.view(None, now).answer_s is not None


@pytest.mark.parametrize(
    ("answered", "action"),
    [
        *[(0.0, None), (EARLIEST_ANSWER_S - 0.01, None), (EARLIEST_ANSWER_S, "passthrough")],
        *[(ANSWER_S - 0.01, "passthrough"), (ANSWER_S, None), (60.0, None)],
    ],
)
@pytest.mark.parametrize("key", ["y", "Y"])
def test_the_room_is_shown_after_a_yes_in_time(
    key: str, answered: float, action: str | None
) -> None:
    asked = Asked()
    assert asked.keys.press(key, answered) == action
    assert asked.standing(answered) is (answered < EARLIEST_ANSWER_S)


@pytest.mark.parametrize(
    ("key", "action"), [("n", None), ("\x1b", None), ("b", "next_background"), ("q", "quit")]
)
def test_other_keys_take_the_question_back(key: str, action: str | None) -> None:
    asked = Asked()
    assert asked.keys.press(key, 1.0) == action
    assert not asked.standing(1.0)
    assert asked.keys.press("y", 1.1) is None


def test_a_question_that_nobody_has_seen_cannot_be_answered() -> None:
    keys = PreviewKeys(mirror=True, now=0.0)
    keys.press("s", 0.0)
    assert keys.press("y", 3.0) is None  # no picture was shown since
    assert keys.view(None, 10.0).answer_s == ANSWER_S
    assert keys.press("y", 11.0) is Action.PASSTHROUGH


def test_holding_s_down_keeps_the_question_and_its_time() -> None:
    asked = Asked()
    assert asked.keys.press("s", 3.0) is None
    assert (asked.standing(4.9), asked.standing(5.0)) == (True, False)


def test_words_typed_into_the_wrong_window_do_not_show_the_room() -> None:
    keys, now = PreviewKeys(mirror=True, now=0.0), 0.0
    for letter in "yes, my system is busy; easy does it yyy say yes":
        keys.view(None, now)
        assert keys.press(letter, now) is not Action.PASSTHROUGH
        now += 0.2


def test_back_to_the_background_without_a_question() -> None:
    """Twice, too: the second press must not show the room again."""
    keys = PreviewKeys(mirror=True, now=0.0)
    keys.passthrough = True
    assert keys.view(None, 0.0).room_visible
    assert [keys.press("s", 0.0), keys.press("s", 0.1)] == [Action.BACKGROUND] * 2
    keys.passthrough = False
    assert keys.press("s", 1.0) is None
    assert keys.view(None, 1.0).answer_s == ANSWER_S


# --- the window, with OpenCV's functions replaced -------------------------------------------------


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> FakeWindows:
    return FakeWindows(monkeypatch)


def test_window_shows_frames(windows: FakeWindows) -> None:
    with WindowSink(INFO) as sink:
        sink.write(frame(3))
        assert not sink.closed
    assert int(windows.shown[0][0, 0, 0]) == 3
    assert sink.closed
    assert windows.destroyed == 1


@pytest.mark.parametrize(
    ("keys", "visible", "forgotten"),
    [
        *[([ord("q")], 1.0, False), ([27], 1.0, False), ([], 0.0, False), ([], -1.0, False)],
        *[([], 1.0, True), ([ord("m")], 1.0, True)],
    ],
)
def test_the_user_closes_the_window(
    windows: FakeWindows, keys: list[int], visible: float, forgotten: bool
) -> None:
    sink = WindowSink(INFO)
    windows.keys, windows.visible, windows.forgotten = keys, visible, forgotten
    sink.write(frame(0))
    assert (sink.closed, sink.take_keys()[-1]) == (True, Action.QUIT)
    sink.write(frame(1))  # the others may go on
    sink.close()
    assert (len(windows.shown), windows.destroyed) == (1, 1)


def test_a_window_is_destroyed_by_the_thread_that_drew_it_only(windows: FakeWindows) -> None:
    sink = WindowSink(INFO)
    writer = threading.Thread(target=sink.write, args=(frame(0),))
    writer.start()
    writer.join()
    sink.close()
    assert (len(windows.shown), windows.destroyed, sink.closed) == (1, 0, True)


def test_macos_draws_from_the_main_thread_only(
    windows: FakeWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    sink, errors = WindowSink(INFO), []

    def write() -> None:
        try:
            sink.write(frame(0))
        except SinkError as error:
            errors.append(str(error))

    writer = threading.Thread(target=write)
    writer.start()
    writer.join()
    assert "main thread only" in errors[0]
    sink.write(frame(0))
    assert len(windows.shown) == 1


def test_opencv_without_windows(windows: FakeWindows, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> None:
        raise cv2.error("The function is not implemented")

    monkeypatch.setattr(cv2, "namedWindow", missing)
    with pytest.raises(SinkError, match=r"not implemented.*--show"):
        WindowSink(INFO).write(frame(0))
    assert not windows.shown


def test_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(SinkError, match=r"DISPLAY is not set.*without --show"):
        WindowSink(INFO)


@pytest.mark.parametrize("display", [":987", "localhost:987.0", "unix:987", "nonsense"])
def test_a_display_that_does_not_answer(display: str) -> None:
    problem = window.display_problem({"DISPLAY": display}, "linux")
    assert problem is not None
    assert display in problem


def test_a_display_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "_connects", lambda *_: True)
    assert window.display_problem({"DISPLAY": ":0"}, "linux") is None
    assert window.display_problem({}, "darwin") is None


def test_the_picture_is_mirrored_and_the_frame_is_not(windows: FakeWindows) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32] = 200
    kept = image.copy()
    sink = WindowSink(INFO)
    sink.passthrough, sink.status = True, PreviewStatus("degraded", note="no camera")
    sink.write(Frame(image, 0.0, 0))
    assert np.array_equal(image, kept)
    assert windows.shown[0][24, 40, 1] > 100 > windows.shown[0][24, 24, 1]
    unmirrored = WindowSink(INFO, mirror=False)
    unmirrored.write(Frame(image, 0.0, 0))
    assert windows.shown[1][24, 24, 1] > 100 > windows.shown[1][24, 40, 1]


def test_keys_are_returned_once_and_in_order(windows: FakeWindows) -> None:
    """Codes as Qt and GTK give them: arrows 0xFF51 to 0xFF54, Shift 0xFFE1, Num Lock in bit 20."""
    sink = WindowSink(INFO)
    windows.keys = [ord("b"), 0xFF51, 0xFF53, 0xFFE1, 0x100000 | ord("p")]
    sink.write(frame(0))
    assert sink.take_keys() == ["next_background", "previous_background"]
    assert sink.take_keys() == []
    windows.keys = [0xFF1B]
    sink.write(frame(1))
    assert (sink.take_keys(), sink.closed) == (["quit"], True)


def test_the_question_is_on_the_screen_before_an_answer_counts(
    windows: FakeWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    sink = WindowSink(INFO)
    windows.keys = [ord("s"), ord("y")]
    sink.write(frame(0))
    now = 2.0
    sink.write(frame(0))
    assert sink.take_keys() == []
    assert not np.array_equal(windows.shown[0], windows.shown[1])
    now, windows.keys = 4.0, [ord("y")]
    sink.write(frame(0))
    assert sink.take_keys() == ["passthrough"]


# --- a real window --------------------------------------------------------------------------------

PROGRAM = """
import time
import numpy as np
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.preview.window import WindowSink

image = np.full((180, 320, 3), 90, np.uint8)
with WindowSink(StreamInfo(320, 180, live=True)) as sink:
    for index in range(3000):
        sink.write(Frame(image, index / 100, index))
        for action in sink.take_keys():
            sink.passthrough = action == "passthrough"
            print(action, flush=True)
        if index == 0:
            print("shown", flush=True)
        if sink.closed:
            break
        time.sleep(0.01)
"""


@pytest.fixture
def display(tmp_path: Path) -> Iterator[str]:
    """Start an X server without a screen and yield its DISPLAY."""
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    number = tmp_path / "display"
    with number.open("w") as file:
        command = ["Xvfb", "-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"]
        server = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: number.read_text().endswith("\n"))
        yield f":{number.read_text().strip()}"
    finally:
        server.terminate()
        server.wait()


def wait_until(done: Callable[[], bool], timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_real_window_and_real_keys(display: str, tmp_path: Path) -> None:
    """The arrows and Shift are among the keys, whose codes' low bytes are letters.

    Of keys that come between two frames Qt keeps the last: each is pressed until it has worked.
    """
    environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    said = tmp_path / "actions"

    def actions() -> list[str]:
        return list(dict.fromkeys(said.read_text().split()))

    def press(*keys: str, until: str | None = None) -> None:
        end = time.monotonic() + 30.0
        while True:
            for key in keys:
                subprocess.check_call(["xdotool", "key", key], env=environment)
                time.sleep(EARLIEST_ANSWER_S + 0.2 if key == "s" else 0.2)
            if until is None or until in actions():
                return
            assert time.monotonic() < end, f"no {until} in {actions()}"

    with said.open("w") as file:
        program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=file, env=environment)
    try:
        wait_until(lambda: "shown" in actions())
        focus = ["xdotool", "search", "--sync", "--name", "^vidbg$", "windowfocus"]
        subprocess.check_call(focus, env=environment)
        press("p", until="previous_background")
        press("question", until="help")
        press("Left", "Right", "Shift_L")
        press("s", "y", until="passthrough")
        press("s", until="background")
        press("m", until="mirror")
        press("Escape", until="quit")
        assert program.wait(timeout=20) == 0
    finally:
        program.kill()
        program.wait()
    expected = ["previous_background", "help", "passthrough", "background", "mirror", "quit"]
    assert actions() == ["shown", *expected]


@pytest.mark.parametrize("output", ["none", "web:0"])
def test_the_button_of_a_real_window_ends_the_run_as_q_does(display: str, output: str) -> None:
    """By WM_DELETE_WINDOW, which a window manager sends."""
    if shutil.which("openbox") is None:
        pytest.skip("openbox is not installed")
    environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}

    def manage() -> subprocess.Popen[bytes]:
        return subprocess.Popen(["openbox"], env=environment, stderr=subprocess.DEVNULL)

    manager = manage()
    command = [sys.executable, "-m", "vidbg", "run", "-c", "synthetic", "--show", "-b", "green"]
    command += ["-o", output, "--size", "320x180", "--fps", "10"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, env=environment, start_new_session=True
    ) as run:
        try:
            close = ["xdotool", "search", "--onlyvisible", "--name", "^vidbg$"]
            close += ["windowactivate", "--sync", "key", "alt+F4"]
            end = time.monotonic() + 60
            while run.poll() is None:  # a window manager that has just begun may miss a key
                assert time.monotonic() < end
                if manager.poll() is not None:  # the one before had not left the display yet
                    manager = manage()
                subprocess.call(close, env=environment, timeout=30)
                time.sleep(2)
            _, said = run.communicate()
        finally:
            run.kill()
            manager.terminate()
            manager.wait()
    assert run.returncode == 0
    assert b"frames," in said
    assert b"preview is over" not in said
