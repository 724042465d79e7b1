"""Recording a live run: the file has what viewers see, however the run ends."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from live_desk import GREEN, NAVY, Desk, Shown, shown
from live_rig import HEIGHT, WIDTH, unplugged

from vidbg.errors import ConfigError, SinkError
from vidbg.pipeline.live.capture import reader
from vidbg.pipeline.live.outputs import frame_buffer, recorder
from vidbg.sinks.files.partial_file import remove_left_behind
from vidbg.sinks.files.video_file_sink import VideoFileSink
from vidbg.sources import open_frames

Usage = namedtuple("Usage", "total used free")


def played(path: Path) -> list[tuple[float, Shown]]:
    """Return the times and the content of a recording's frames."""
    with open_frames(path) as source:
        assert (source.info.width, source.info.height) == (WIDTH, HEIGHT)
        return [(frame.pts, shown(frame.image)) for frame in source]


def has_background(observed: Shown, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.subtract(observed.background, colour)).max() < 12)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_recording_has_what_viewers_saw_in_real_time(
    suffix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / f"call{suffix}"
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.run.start_recording(path)
        begun = time.monotonic()
        time.sleep(0.6)
        status = desk.run.recording
        assert status is not None
        assert 0.2 < status.seconds < 1.5
        desk.change(background="#000080")
        time.sleep(0.5)
        desk.run.set_away(True)
        time.sleep(0.5)
        lasted = time.monotonic() - begun
        done = desk.run.stop_recording()
        assert desk.run.recording is None
    assert done is not None
    assert (done.path, done.problem, done.size_bytes) == (path, None, path.stat().st_size)
    frames = played(path)
    times = [pts for pts, _ in frames]
    assert times[-1] - times[0] == pytest.approx(lasted, abs=0.3)
    assert done.seconds == pytest.approx(times[-1] - times[0], abs=0.1)
    assert has_background(frames[2][1], GREEN)
    assert frames[2][1].person == "one"
    assert any(has_background(observed, NAVY) for _, observed in frames)
    assert frames[-1][1].person is None  # the away card
    assert sum(observed.leaks for _, observed in frames) == 0
    assert leftovers(tmp_path) == []


def test_a_recording_survives_faults_of_camera_and_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(frame_buffer, "HOLD_S", 0.1)
    path = tmp_path / "call.mp4"
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.run.start_recording(path)
        time.sleep(0.3)
        desk.cameras["one"].fault = unplugged
        desk.outputs["web:1"].fault = lambda _: (_ for _ in ()).throw(SinkError("gone"))
        time.sleep(0.7)
        desk.cameras["one"].fault = desk.outputs["web:1"].fault = None
        desk.wait_person()
        desk.change(camera="two", output="web:2")
        desk.wait_person("two", "web:2")
        time.sleep(0.2)
        desk.run.stop_recording()
    people = [observed.person for _, observed in played(path)]
    assert people[2] == "one"
    assert people[-1] == "two"
    assert None in people  # the fallback frame, while the camera was gone


@pytest.mark.parametrize("end", ["stop", "failure", "frames"])
def test_every_end_of_the_run_completes_the_file(
    end: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "call.mp4"
    values: dict[str, Any] = {"frames": 30} if end == "frames" else {"output": "-"}
    with Desk(monkeypatch, **values) as desk:
        desk.wait(lambda: any(each.person for observed in desk.seen.values() for each in observed))
        desk.run.start_recording(path)
        time.sleep(0.4)
        if end == "failure":
            desk.outputs["-"].fault = lambda _: (_ for _ in ()).throw(SinkError("reader gone"))
            time.sleep(0.5)
            assert isinstance(desk.failure, SinkError)
    assert len(played(path)) > 5
    assert leftovers(tmp_path) == []


def test_a_recording_keeps_the_camera_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("vidbg.pipeline.live.supervisor.UNWATCHED_S", 0.2)
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.run.start_recording(tmp_path / "call.mp4")
        desk.watched = False
        time.sleep(0.6)
        assert desk.status.state.value == "live"
        desk.run.stop_recording()
        desk.wait(lambda: desk.status.state.value == "paused")


def test_an_almost_full_disk_ends_the_recording_alone_and_keeps_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(recorder, "SPACE_PERIOD_S", 0.05)
    path = tmp_path / "call.mp4"
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.run.start_recording(path)
        time.sleep(0.4)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 5 * 2**20))
        desk.wait(path.is_file)
        desk.wait(lambda: desk.run.recording is not None and desk.run.recording.problem)
        assert "almost full (5 MB are left)" in desk.run.recording.problem  # type: ignore[union-attr, operator]
        desk.wait_person()
        assert desk.status.state.value == "live"
        with pytest.raises(SinkError, match="almost full"):
            desk.run.start_recording(tmp_path / "more.mp4")
        assert not (tmp_path / "more.mp4").exists()
    assert len(played(path)) > 5


def test_a_file_that_fails_keeps_its_content_and_the_run_continues(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "call.mp4"
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.run.start_recording(path)
        desk.wait(lambda: desk.run.recording is not None and desk.run.recording.seconds > 0.3)

        def full(sink: VideoFileSink, _frame: Any) -> None:
            with sink._failing("written"):
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(VideoFileSink, "write", full)
        desk.wait(lambda: desk.run.recording is not None and desk.run.recording.problem)
        assert "is the disk full" in desk.run.recording.problem  # type: ignore[union-attr, operator]
        desk.wait_person()
        ended = desk.run.stop_recording()
        assert ended is not None
        assert "is the disk full" in str(ended.problem)
        assert desk.run.recording is None
        assert desk.failure is None
    assert len(played(path)) > 5
    assert list(tmp_path.iterdir()) == [path]


RECORDS = """
import os, sys, time
import numpy as np
from vidbg.frame import Frame, StreamInfo
from vidbg.pipeline.live.outputs.recorder import RecordingSink
from pathlib import Path

sink = RecordingSink(Path(sys.argv[1]), StreamInfo(320, 240))
grain = np.random.default_rng(1).integers(0, 60, (240, 320, 3)).astype(np.uint8)
for number in range(150):
    sink.write(Frame(np.roll(grain, number, 1) + np.uint8(number), number / 30, number))
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_recording_of_a_killed_program_can_be_played(suffix: str, tmp_path: Path) -> None:
    """Up to about the last second, and players can go to any moment of it."""
    path = tmp_path / f"call{suffix}"
    killed = subprocess.run([sys.executable, "-c", RECORDS, path], check=False)
    assert killed.returncode == -9
    assert list(tmp_path.iterdir()) == [path]
    remove_left_behind(tmp_path)  # what the next run does
    frames = list(open_frames(path))
    assert len(frames) > 100
    assert [round(30 * frame.pts) for frame in frames] == list(range(len(frames)))
    with av.open(str(path)) as container:
        container.seek(3_500_000)
        assert next(container.decode(video=0)).time == pytest.approx(2.0, abs=0.01)


def test_a_complete_recording_has_an_index_for_every_player(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not the fragments of one that is going on."""
    path = tmp_path / "call.mp4"
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        desk.run.start_recording(path)
        desk.wait(lambda: desk.run.recording is not None and desk.run.recording.seconds > 1.2)
        desk.run.stop_recording()
    content, boxes = path.read_bytes(), []
    while content:
        size, name = struct.unpack(">I4s", content[:8])
        boxes.append(name.decode())
        content = content[size:]
    assert (boxes.count("moov"), boxes.count("moof")) == (1, 0)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == len(played(path))


def test_what_cannot_be_recorded_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    existing = tmp_path / "there.mp4"
    existing.write_bytes(b"precious")
    with Desk(monkeypatch) as desk:
        desk.wait_person()
        with pytest.raises(SinkError, match="exists"):
            desk.run.start_recording(existing)
        with pytest.raises(ConfigError, match=r"ends in \.mp4"):
            desk.run.start_recording(tmp_path / "call.webm")
        with pytest.raises(SinkError, match="no folder"):
            desk.run.start_recording(tmp_path / "missing" / "call.mp4")
        assert desk.run.recording is None
        assert desk.run.stop_recording() is None
        desk.run.start_recording(tmp_path / "call.mp4")
        with pytest.raises(ConfigError, match="is being recorded"):
            desk.run.start_recording(tmp_path / "other.mp4")
        time.sleep(0.2)
    assert existing.read_bytes() == b"precious"
    assert played(tmp_path / "call.mp4")


def test_a_disk_that_hangs_does_not_stop_the_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(reader, "READ_PATIENCE_S", 5.0)
    released = threading.Event()
    write = VideoFileSink.write

    def hang(sink: VideoFileSink, frame: Any) -> None:
        released.wait(10)
        write(sink, frame)

    with Desk(monkeypatch) as desk:
        desk.wait_person()
        monkeypatch.setattr(VideoFileSink, "write", hang)
        desk.run.start_recording(tmp_path / "call.mp4")
        count = len(desk.seen["web:1"])
        time.sleep(0.8)
        assert len(desk.seen["web:1"]) - count > 8
        assert all(each.person for each in desk.seen["web:1"][count:])
        released.set()
