"""Outputs through other programs (PipeWire, RTMP, SRT), with fakes of those programs."""

from __future__ import annotations

import json
import logging
import platform
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from contracts import check_sink_completes, write_until_it_fails

from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks import open_output
from vidbg.sinks.camera.pipewire import PipeWireSink, pipewire_problem
from vidbg.sinks.newest_frame_sink import STALL_S
from vidbg.sinks.stream import child_process
from vidbg.sinks.stream.addresses import broadcast_url, pipewire_name
from vidbg.sinks.stream.broadcast import BroadcastSink, broadcast_problem
from vidbg.sinks.stream.child_process import ChildProcessSink
from vidbg.util.urls import concealed, public_name

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fakes are Unix scripts")

INFO = StreamInfo(640, 480, frame_rate=Fraction(30), live=True)
IMAGE = np.full((480, 640, 3), (30, 120, 220), np.uint8)
RTMP = "rtmp://127.0.0.1/live/secret-key"
SRT = "srt://127.0.0.1:9?streamid=publish%2Froom&passphrase=hush%20hush"

FAKE = r"""
import json, os, signal, sys, time
arguments, mood = sys.argv[1:], os.environ.get("FAKE", "take")
if "-protocols" in arguments:
    print("Input:\n  srt\nOutput:\n  " + os.environ.get("FAKE_PROTOCOLS", "rtmp\n  rtmps\n  srt"))
elif "-encoders" in arguments:
    print(" V....D " + os.environ.get("FAKE_ENCODER", "libx264") + " H.264")
elif "--exists" in arguments:
    sys.exit(arguments[-1] in os.environ.get("FAKE_LACKS", "").split())
else:
    if mood == "refuse":
        sys.exit("ERROR: from element pipewiresink0: Failed to connect\nAdditional debug info:")
    if mood == "stall":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
    taken = len(sys.stdin.buffer.read(3 * 640 * 480 if mood == "die" else -1))
    if mood == "die":
        print(f"[tcp @ 0x55d0] no route\n{arguments[-1]}: Input/output error", file=sys.stderr)
        sys.exit(3)
    with open(os.environ["FAKE_REPORT"], "w") as report:
        json.dump({"taken": taken, "arguments": arguments}, report)
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Fakes of ffmpeg, gst-launch and gst-inspect, alone on the PATH; what FAKE tells them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("ffmpeg", "gst-launch-1.0", "gst-inspect-1.0"):
        (folder / name).write_text(f"#!{sys.executable} -SE\n{FAKE}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("FAKE_REPORT", str(tmp_path / "report.json"))
    monkeypatch.setattr(child_process, "START_S", 0.05)
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"ID": "debian"})
    return monkeypatch


@pytest.fixture
def daemon(programs: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Listen where PipeWire would."""
    folder = tempfile.mkdtemp()  # short, as the path of a socket must be
    programs.setenv("XDG_RUNTIME_DIR", folder)
    for name in ("PIPEWIRE_RUNTIME_DIR", "PIPEWIRE_REMOTE"):
        programs.delenv(name, raising=False)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/pipewire-0")
        listening.listen()
        yield listening
    shutil.rmtree(folder)


def report(tmp_path: Path) -> tuple[int, list[str]]:
    content = json.loads((tmp_path / "report.json").read_text())
    return content["taken"], content["arguments"]


def assert_gone(sink: ChildProcessSink) -> None:
    """Check that the program has ended and was waited for, and that its threads are gone."""
    assert sink._process.returncode is not None
    assert not Path(f"/proc/{sink._process.pid}").exists()
    assert not [thread.name for thread in threading.enumerate() if "vidbg" in thread.name]


OPENERS: list[Callable[[], ChildProcessSink]] = [
    lambda: BroadcastSink(INFO, RTMP),
    lambda: BroadcastSink(INFO, SRT),
    lambda: PipeWireSink(INFO),
]
each_output = pytest.mark.parametrize("opened", OPENERS, ids=["rtmp", "srt", "pipewire"])


@pytest.mark.usefixtures("daemon")
@each_output
def test_every_frame_reaches_the_program(
    opened: Callable[[], ChildProcessSink], tmp_path: Path
) -> None:
    sink = opened()
    for index in range(5):
        sink.write(Frame(IMAGE, index / 10, index))
        time.sleep(0.1)
    sink.close()
    assert_gone(sink)
    taken, _ = report(tmp_path)
    assert taken == (5 - sink.dropped) * IMAGE.nbytes
    assert taken > 0  # and what came while the program started was dropped


@pytest.mark.usefixtures("daemon")
@each_output
def test_the_contract_of_sinks(opened: Callable[[], ChildProcessSink]) -> None:
    check_sink_completes(opened, [Frame(IMAGE, index / 30, index) for index in range(3)])


@pytest.mark.usefixtures("daemon")
@each_output
def test_a_program_that_dies_is_reported_at_a_later_write(
    opened: Callable[[], ChildProcessSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE", "die")
    with opened() as sink:
        error = write_until_it_fails(sink, IMAGE)
        with pytest.raises(SinkError, match="exit code 3"):
            sink.write(Frame(IMAGE, 9.0, 9))
    assert "failed" in str(error)
    assert "exit code 3" in str(error)
    assert_gone(sink)


@pytest.mark.usefixtures("daemon")
@each_output
def test_a_program_that_accepts_no_data_delays_no_other_output(
    opened: Callable[[], ChildProcessSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE", "stall")
    monkeypatch.setattr(child_process, "_TERMINATE_S", 0.2)  # for it is deaf to the signal
    sink = opened()
    sink._stall_s = 0.3
    slowest_s = 0.0
    for index in range(20):
        start = time.monotonic()
        sink.write(Frame(IMAGE, index / 100, index))
        slowest_s = max(slowest_s, time.monotonic() - start)
        time.sleep(0.01)
    assert slowest_s < 0.1
    assert sink.dropped >= 15
    error = write_until_it_fails(sink, IMAGE)
    assert "it took nothing for 0.3 s" in str(error)
    start = time.monotonic()
    sink.close()
    assert time.monotonic() - start < 2
    assert_gone(sink)


@pytest.mark.usefixtures("programs")
def test_a_stalled_program_is_stopped_on_closing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FAKE", "stall")
    monkeypatch.setattr(child_process, "PATIENCE_S", 0.3)
    monkeypatch.setattr(child_process, "_TERMINATE_S", 0.2)
    caplog.set_level(logging.INFO)
    sink = BroadcastSink(INFO, RTMP)
    sink.write(Frame(IMAGE, 0.0, 0))
    sink.close()
    assert_gone(sink)
    assert "ffmpeg does not end and is stopped" in caplog.text


@pytest.mark.usefixtures("daemon")
def test_a_program_that_ends_at_once_is_reported_when_opening(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FAKE", "refuse")
    monkeypatch.setattr(child_process, "START_S", 5.0)
    with pytest.raises(SinkError, match=r"cannot be opened.*Failed to connect\).*systemctl"):
        PipeWireSink(INFO)
    assert not [thread.name for thread in threading.enumerate() if "vidbg" in thread.name]


def test_pipewire_that_ends_is_noticed(daemon: socket.socket) -> None:
    with PipeWireSink(INFO) as sink:
        sink.write(Frame(IMAGE, 0.0, 0))
        daemon.accept()  # looked whether it is there
        daemon.accept()[0].close()
        with pytest.raises(SinkError, match="PipeWire has ended"):
            sink.write(Frame(IMAGE, 1.0, 1))
    assert_gone(sink)


@pytest.mark.usefixtures("daemon")
def test_the_properties_of_the_pipewire_node(tmp_path: Path) -> None:
    info = StreamInfo(640, 480, frame_rate=Fraction(30000, 1001), live=True)
    with PipeWireSink(info, "Küche, 2") as sink:
        sink.write(Frame(IMAGE, 0.0, 0))
    _, arguments = report(tmp_path)
    pipeline = " ".join(arguments)
    assert "format=bgr width=640 height=480 framerate=30000/1001" in pipeline
    assert "identity drop-allocation=true ! pipewiresink" in pipeline
    assert r"media.class=Video/Source,media.role=Camera" in arguments[-1]
    assert r"node.description=\"Küche, 2\"" in arguments[-1]


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (("FAKE_LACKS", "pipewiresink"), "has no pipewiresink: `sudo apt install gstreamer1.0-"),
        (("PATH", "/nowhere"), "gst-launch-1.0 is not installed: `sudo apt install gstreamer1.0-"),
        (("XDG_RUNTIME_DIR", "/nowhere"), "PipeWire does not answer at /nowhere/pipewire-0"),
        (("PIPEWIRE_REMOTE", "other"), "No such file or directory"),
        (("XDG_RUNTIME_DIR", ""), "without sudo"),
    ],
)
def test_missing_parts_of_pipewire_are_named(
    broken: tuple[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pipewire_problem() is None
    monkeypatch.setenv(*broken)
    assert words in (pipewire_problem() or "")
    with pytest.raises(SinkError) as caught:
        PipeWireSink(INFO)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("release", "words"),
    [
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "`sudo apt install gstreamer1.0-tools "),
        ({"ID": "fedora"}, "`sudo dnf install gstreamer1 gstreamer1-plugins-base pipewire-gst"),
        ({"ID": "arch"}, "`sudo pacman -S gstreamer gst-plugins-base gst-plugin-pipewire`"),
        ({"ID": "void"}, "Debian and Ubuntu: `sudo apt"),
    ],
)
def test_the_package_is_that_of_the_distribution(
    release: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    assert words in (pipewire_problem() or "")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (("PATH", "/nowhere"), "ffmpeg is not installed: `sudo apt install ffmpeg`"),
        (
            ("FAKE_PROTOCOLS", "tcp"),
            "does not support srt; one that does: `sudo apt install ffmpeg`",
        ),
        (
            ("FAKE_ENCODER", "libopenh264"),
            "has no libx264; one that has: `sudo apt install ffmpeg`",
        ),
    ],
)
def test_missing_features_of_ffmpeg_are_named(
    broken: tuple[str, str], words: str, programs: pytest.MonkeyPatch
) -> None:
    assert broadcast_problem("srt") is None
    programs.setenv(*broken)
    assert words in (broadcast_problem("srt") or "")
    with pytest.raises(SinkError) as caught:
        BroadcastSink(INFO, SRT)
    assert words in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.usefixtures("programs")
def test_the_arguments_of_ffmpeg(tmp_path: Path) -> None:
    for url in (RTMP, SRT):
        with BroadcastSink(INFO, url) as sink:
            sink.write(Frame(IMAGE, 0.0, 0))
        _, arguments = report(tmp_path)
        options = " ".join(arguments)
        assert arguments[-1] == url
        assert "-f rawvideo -pixel_format bgr24 -video_size 640x480 -framerate 30 -i" in options
        assert "-c:v libx264 -preset veryfast -tune zerolatency" in options
        assert " -g 60 " in options
        assert ("-f flv" in options) == ("anullsrc" in options) == (url == RTMP)
        assert ("-f mpegts" in options) == (url == SRT)


@pytest.mark.parametrize("url", [RTMP, SRT])
def test_stream_keys_are_neither_shown_nor_logged(
    url: str, programs: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    programs.setenv("FAKE", "die")
    with BroadcastSink(INFO, url) as sink:
        error = str(write_until_it_fails(sink, IMAGE))
    assert f"(no route; {public_name(url)}: Input/output error)" in error
    for secret in ("secret-key", "hush", "publish"):
        assert secret not in error + caplog.text
    assert "Input/output error" in caplog.text


def test_secrets_are_found_in_pieces() -> None:
    url = "rtmp://me:pw@host/app/room/a?auth=x%2Fy&n=1"
    assert concealed(f"to {url}: no", url) == "to rtmp://host: no"
    assert concealed("play room/a of app for me by pw", url) == "play *** of app for *** by ***"
    assert concealed("no a here", "rtmp://host/a") == "no *** here"
    assert concealed("auth x/y, x%2Fy or 1, but apple", url) == "auth ***, *** or ***, but apple"


def test_which_addresses_can_be_streamed_to() -> None:
    for url in ("rtmps://host:443/app/key", "srt://[::1]:9000"):
        assert broadcast_url(url) == url
    for other in ("udp://host:1", "/dev/video10"):
        with pytest.raises(ConfigError, match=f"^{other} cannot be streamed to"):
            broadcast_url(other)
    for wrong in ("rtmp://host", "rtmp:///app/key", "srt://host?passphrase=hush", "srt://:90"):
        with pytest.raises(ConfigError, match="not complete") as caught:
            broadcast_url(wrong)
        assert "hush" not in str(caught.value)
    assert pipewire_name("pipewire") == "vidbg"
    assert pipewire_name("pipewire:Me, here") == "Me, here"
    with pytest.raises(ConfigError, match="pipewire:NAME"):
        pipewire_name("pipewire: ")


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb"])
def test_names_that_no_camera_can_have(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a camera's name"):
        PipeWireSink(INFO, name)


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize("output", ["pipewire:desk", RTMP, SRT])
def test_the_command_line_opens_them(output: str, tmp_path: Path) -> None:
    sink = open_output(output, INFO)
    with sink:
        sink.write(Frame(IMAGE, 0.0, 0))
    _, arguments = report(tmp_path)
    assert output == arguments[-1] or "desk" in arguments[-1]


@pytest.mark.usefixtures("programs")
def test_a_listener_may_wait_for_its_caller() -> None:
    with BroadcastSink(INFO, "srt://0.0.0.0:9000?mode=listener") as sink:
        assert sink._stall_s is None
    with BroadcastSink(INFO, SRT) as sink:
        assert sink._stall_s == STALL_S
