"""The log, the report without personal data, and the lists of cameras and outputs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_client import Served

from vidbg.pipeline.live.controls import device_choices
from vidbg.pipeline.live.controls.diagnostics import KEPT, without_secrets
from vidbg.sources.camera.camera_formats import CameraFormat, FrameSize
from vidbg.sources.camera.v4l2 import CameraInfo

logger = logging.getLogger("vidbg.anything")


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as served:
        yield served


def test_the_last_messages_are_kept(served: Served) -> None:
    for number in range(KEPT + 5):
        logger.info("message %d", number)
    logger.debug("too much")
    logger.warning("careful")
    lines = served.client.get("/log")["lines"]
    assert len(lines) == KEPT
    assert (lines[-1]["level"], lines[-1]["text"]) == ("WARNING", "careful")
    assert lines[-2]["text"] == f"message {KEPT + 4}"
    assert len(lines[-1]["time"]) == len("12:34:56")


def test_the_log_is_as_before_when_the_server_has_ended() -> None:
    before = logging.getLogger("vidbg").level, list(logging.getLogger("vidbg").handlers)
    with Served():
        assert logger.isEnabledFor(logging.INFO)
    assert (logging.getLogger("vidbg").level, logging.getLogger("vidbg").handlers) == before


def test_the_report_names_the_program_and_hides_the_person(served: Served, tmp_path: Path) -> None:
    secret = tmp_path / "Anna Meyer" / "bed room.jpg"
    secret.parent.mkdir()
    secret.write_bytes(b"x")
    client = served.client
    client.send("PATCH", "/settings", {"background": str(secret), "feather": 3})
    logger.warning("background '%s' cannot be used", secret)
    logger.warning("%s cannot be written", Path.home() / "video.mp4")
    logger.info("output: http://127.0.0.1:8090/?token=%s", client.token)
    logger.info("to rtmp://live.example.org/app/the-key")
    status, report = client.ask("GET", "/diagnostics")
    text = report.decode()
    assert status == 200
    for expected in ("vidbg 0", "Python 3", "numpy ", "feather = 3", "cannot be used", ".jpg"):
        assert expected in text
    for hidden in ("Anna", "bed room", "the-key", client.token, str(Path.home()), str(tmp_path)):
        assert hidden not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/dev/video0 is gone", "/dev/video0 is gone"),
        ("'/home/anna/My Room.jpg' is empty", "'<path>.jpg' is empty"),
        ("no file /home/anna/x.mp4: give one", "no file <path>.mp4: give one"),
        (r"C:\Users\Anna\x.png", "<path>.png"),
        ("30/1 FPS, 16/9", "30/1 FPS, 16/9"),
        ("Authorization: Bearer abc", "Authorization: Bearer ***"),
    ],
)
def test_what_a_report_leaves_out(text: str, expected: str) -> None:
    assert without_secrets(text) == expected


def test_the_cameras_are_listed_with_their_modes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fractions import Fraction

    sizes = (FrameSize(1280, 720, None, Fraction(30)), FrameSize(640, 480, None, None))
    formats = (CameraFormat("MJPG", sizes), CameraFormat("H264", sizes))
    cameras = [
        CameraInfo(0, "/dev/video0", "Good Cam", formats=formats),
        CameraInfo(2, "/dev/video2", "Locked", problem="no permission: `usermod`"),
        CameraInfo(9, "/dev/video9", "Loopback", virtual=True),
    ]
    monkeypatch.setattr(device_choices, "list_cameras", lambda: cameras)
    monkeypatch.setattr(sys, "platform", "linux")
    listed = {each["value"]: each for each in served.client.get("/cameras")}
    assert list(listed) == ["/dev/video0", "/dev/video2", "sample", "synthetic"]
    assert listed["/dev/video0"]["modes"] == [
        {"size": "1280x720", "fps": 30, "format": "MJPG"},
        {"size": "640x480", "fps": 30, "format": "MJPG"},
    ]
    assert "usermod" in listed["/dev/video2"]["problem"]
    for mode in listed["/dev/video0"]["modes"]:
        assert served.client.send("PATCH", "/settings", {"camera": "/dev/video0", **mode})[0] == 200


def test_outputs_are_listed_and_can_be_chosen(served: Served) -> None:
    client = served.client
    listed = {each["value"]: each for each in client.get("/outputs")}
    assert {"virtual-camera", "web:", "rtmp://"} <= set(listed)
    assert not {"-", "none"} & set(listed)
    for value, choice in listed.items():
        argument = choice["argument"]
        output = value + argument["example"] if argument else value
        status, state = client.send("PATCH", "/settings", {"output": [output, "web:8099"]})
        assert (status, state["settings"]["output"]) == (
            200,
            [output, "web:8099"] if output != "web:8099" else [output],
        )
    assert client.send("PATCH", "/settings", {"output": []})[1]["settings"]["output"] == ["none"]
    assert client.send("PATCH", "/settings", {"output": "web:1"})[0] == 200
    assert client.send("PATCH", "/settings", {"output": [1]})[1]["error"]["field"] == "output"
