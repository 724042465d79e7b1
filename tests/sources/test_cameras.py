"""Other values of `--camera`: looped files, streams, and what it refuses."""

from __future__ import annotations

import http.server
import itertools
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import SIZE, number_of, numbered, write_clip

from vidbg.cli.settings import default_file
from vidbg.errors import ConfigError, SourceError
from vidbg.frame import Frame, StreamInfo
from vidbg.pipeline.live.capture.camera_opener import CameraOpener
from vidbg.sources import Source, open_frames
from vidbg.sources.camera import network_camera
from vidbg.sources.camera import played_file as played_module
from vidbg.sources.camera.cameras import camera_source
from vidbg.sources.camera.network_camera import NetworkSource, open_stream
from vidbg.sources.camera.played_file import PlayedSource
from vidbg.sources.camera.remembered_camera import RememberedCamera
from vidbg.sources.sample import SampleSource

ASKED = StreamInfo(64, 48, frame_rate=Fraction(30), live=True)
RATE = Fraction(30)


def opened(name: str | Path) -> Source:
    return camera_source(str(name), ASKED, "auto")()


def taken(source: Source, count: int) -> list[Frame]:
    with source:
        return list(itertools.islice(source, count))


# --- files ----------------------------------------------------------------------------------------


def test_a_video_is_looped_at_its_own_speed(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", audio="aac")  # 12 frames at 30 a second
    source = opened(clip)
    assert source.info == StreamInfo(*SIZE, frame_rate=RATE, live=True)
    start = time.monotonic()
    frames = taken(source, 30)
    assert time.monotonic() - start > 28 / 30  # never before its time
    assert [frame.index for frame in frames] == list(range(30))
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))
    assert [number_of(frame.image) for frame in frames] == [n % 12 for n in range(30)]


def test_times_come_from_the_file_and_long_pictures_are_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(played_module, "_LONGEST_S", 0.1)
    clip = write_clip(tmp_path / "a.mp4", ticks=[0, 3, 18, 21])
    frames = taken(opened(clip), 10)
    numbers = [number_of(frame.image) for frame in frames]
    assert [number for number, _ in itertools.groupby(numbers)][:4] == [0, 1, 2, 3]
    assert numbers.count(1) >= 4  # half a second long
    first = {number_of(frame.image): frame.pts for frame in reversed(frames[:9])}
    assert first[2] - first[1] == pytest.approx(0.5, abs=0.08)


def test_a_late_source_continues_without_catching_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(played_module, "_LATE_S", 0.1)
    with opened(write_clip(tmp_path / "a.mp4")) as source:
        frames = iter(source)
        next(frames)
        time.sleep(0.4)
        next(frames)
        start = time.monotonic()
        for _ in range(4):
            next(frames)
        assert time.monotonic() - start > 0.09


def test_a_picture_is_repeated_at_the_given_rate(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "me.png"), numbered(5, 64, 48))
    source = opened(tmp_path / "me.png")
    start = time.monotonic()
    frames = taken(source, 10)
    assert time.monotonic() - start > 8 / 30
    assert {number_of(frame.image) for frame in frames} == {5}


def test_what_a_transparent_picture_hides_is_not_shown(tmp_path: Path) -> None:
    picture = np.full((48, 64, 4), 200, np.uint8)
    picture[..., 3] = 255
    picture[:24, :, 3] = 0
    cv2.imwrite(str(tmp_path / "cut.png"), picture)
    (frame,) = taken(opened(tmp_path / "cut.png"), 1)
    assert frame.alpha is None
    assert not frame.image[:24].any()
    assert (frame.image[24:] == 200).all()


def test_the_readable_part_of_a_truncated_file_is_looped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut = write_clip(tmp_path / "cut.mkv", ticks=range(90), options={"crf": "10"})
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    numbers = [number_of(frame.image) for frame in taken(opened(cut), 90)]
    assert numbers[:3] == [0, 1, 2]
    assert [0, 1, 2] in [numbers[n : n + 3] for n in range(10, 88)]  # it began anew
    assert caplog.text.count("breaks off") == 1


def test_the_sample_clip_moves_and_is_looped_without_a_jump() -> None:
    pytest.importorskip("skimage")
    with SampleSource() as clip:
        images = [frame.image for frame in clip]
    assert {image.shape for image in images} == {(480, 854, 3)}
    steps = [cv2.absdiff(a, b).mean() for a, b in itertools.pairwise([*images[-3:], *images[:3]])]
    assert 0 < max(steps) < 3 * min(steps)
    with camera_source("sample", ASKED, "auto")() as camera:
        assert (camera.info.width, camera.info.height, camera.info.live) == (854, 480, True)
        assert next(iter(camera)).image.tobytes() == images[0].tobytes()


def test_without_its_images_the_sample_clip_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ConfigError, match=r"sample clip cannot be the camera: .*\[demo\]"):
        camera_source("sample", ASKED, "auto")()


def test_closing_from_another_thread_ends_it_soon(tmp_path: Path) -> None:
    source = opened(write_clip(tmp_path / "a.mp4", ticks=[0, 300]))
    threading.Timer(0.2, source.close).start()
    start = time.monotonic()
    assert len(list(source)) < 5
    assert time.monotonic() - start < 2


def test_a_file_that_disappears_is_waited_for(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    open_camera = camera_source(str(clip), ASKED, "auto")
    open_camera().close()
    clip.unlink()
    with pytest.raises(SourceError, match="there is no file"):
        open_camera()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("{}/text.txt", "the file cannot be the camera: .*text.txt is"),
        ("{}/empty.mp4", "is empty"),
        ("{}", "is a folder; give a video"),
        ("{}/tlak.mp4", "does not exist; did you mean '.*talk.mp4'"),
        ("nothing.mp4", "'nothing.mp4' for the camera does not exist"),
        ("-5", "there is no camera '-5'"),
        ("", "there is no camera ''"),
        (" ", "there is no camera ' '"),
        ("-", "there is no camera '-'"),
        ("/dev/zero", "'/dev/zero' is not a camera but another kind of device or a pipe"),
        ("{}/pipe", "pipe' is not a camera but another kind of device or a pipe"),
        ("rstp://host/x", "unknown kind of stream 'rstp'; did you mean"),
        ("file:///etc/passwd", "unknown kind of stream 'file'"),
        ("rtsp://", "names no host"),
        ("rtsp://host:port/secret", "the address is malformed"),
    ],
)
def test_what_will_never_be_a_camera_is_refused_at_once(
    name: str, hint: str, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("hello\nworld\n")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "talk.mp4").touch()
    if "kind of device" in hint:
        if sys.platform != "linux":
            pytest.skip("no such devices")
        os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=hint) as refused:
        CameraOpener(camera_source(name.format(tmp_path), ASKED, "auto"), ASKED)
    assert "secret" not in str(refused.value)


def test_names_are_for_linux_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(RememberedCamera, "open", lambda self, **_: asked.append(self._device))
    for name in ("0", "logitech", "/dev/v4l/by-id/usb-x"):
        camera_source(name, ASKED, "auto")()
    assert asked == ["0", "logitech", "/dev/v4l/by-id/usb-x"]
    monkeypatch.setattr(sys, "platform", "win32")
    camera_source("1", ASKED, "auto")()
    with pytest.raises(ConfigError, match=r"did you mean 'synthetic'.*give its number"):
        camera_source("syntetic", ASKED, "auto")


def test_a_camera_in_the_settings_is_found_beside_them(
    vidbg: Callable[..., tuple[int, str, str]],
) -> None:
    default_file().parent.mkdir(parents=True)
    default_file().write_text('camera = "a.mp4"\n[profile.cam]\ncamera = "logitech"')
    (default_file().parent / "a.mp4").touch()
    assert f'camera = "{default_file().parent / "a.mp4"}"' in vidbg("config", "show")[1]
    assert 'camera = "logitech"' in vidbg("config", "show", "--profile", "cam")[1]


# --- streams --------------------------------------------------------------------------------------


@pytest.fixture
def stream() -> Iterator[Callable[[bytes], str]]:
    """Serve bytes slowly to each client, then hang up; yield the URL."""
    servers: list[socket.socket] = []

    def serve(data: bytes) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                    with connection:
                        for start in range(0, len(data), 1316):
                            connection.sendall(data[start : start + 1316])
                            time.sleep(0.001)
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"

    yield serve
    for server in servers:
        server.close()


def test_a_stream_delivers_frames_as_they_arrive_and_resumes_after_a_break(
    stream: Callable[[bytes], str], tmp_path: Path
) -> None:
    clip = write_clip(tmp_path / "a.ts", ticks=range(40))
    open_camera = camera_source(stream(clip.read_bytes()), ASKED, "auto")
    for _ in range(2):
        source = open_camera()
        assert isinstance(source, NetworkSource)
        assert source.info.live
        assert source.info.frame_rate == 30
        with source:
            frames = list(source)  # ends with the connection: the reader opens it again
        assert len(frames) > 30
        assert frames[0].image.shape == (48, 64, 3)
        assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))
        assert number_of(frames[-1].image) == 39 % 24


def test_a_web_recording_is_looped_at_its_own_speed(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path), **options)  # type: ignore[arg-type]

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = open_stream(f"http://127.0.0.1:{server.server_port}/a.mp4", RATE)
        assert isinstance(source, PlayedSource)
        start = time.monotonic()
        numbers = [number_of(frame.image) for frame in taken(source, 20)]
        assert numbers == [n % 12 for n in range(20)]
        assert time.monotonic() - start > 18 / 30
        with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:\d+ cannot be opened") as error:
            open_stream(f"http://me:secret@127.0.0.1:{server.server_port}/hidden.mp4", RATE)
        assert "secret" not in str(error.value)
        assert "hidden" not in str(error.value)
        server.shutdown()


def test_a_motion_jpeg_camera_is_read() -> None:
    class Camera(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for index in range(200):
                jpeg = cv2.imencode(".jpg", numbered(index, 64, 48))[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                except OSError:
                    return
                time.sleep(0.01)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = open_stream(f"http://127.0.0.1:{server.server_port}/video", RATE)
        assert isinstance(source, NetworkSource)
        frames = taken(source, 10)
        assert [number_of(frame.image) for frame in frames] == list(range(10))
        server.shutdown()


def test_a_stream_that_is_not_there_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    camera = CameraOpener(camera_source(f"rtsp://127.0.0.1:{port}/x", ASKED, "auto"), ASKED)
    assert "Connection refused" in str(camera.problem)
    assert camera.info == ASKED


def test_a_stream_without_video_is_refused(stream: Callable[[bytes], str]) -> None:
    with pytest.raises(SourceError, match="cannot be opened"):
        camera_source(stream(b"no video\n" * 500), ASKED, "auto")()


def test_closing_does_not_wait_for_a_stream_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_camera, "READ_S", 1.5)
    clip = write_clip(tmp_path / "a.ts", ticks=range(40)).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []

        def accept() -> None:
            connection, _ = server.accept()
            connection.sendall(clip)
            kept.append(connection)  # and then nothing

        threading.Thread(target=accept, daemon=True).start()
        source = open_stream(f"tcp://127.0.0.1:{server.getsockname()[1]}", RATE)
        reading = threading.Thread(target=lambda: list(source), daemon=True)
        reading.start()
        time.sleep(0.5)
        start = time.monotonic()
        source.close()
        assert time.monotonic() - start < 0.5
        reading.join(20)
        assert not reading.is_alive()


@pytest.mark.parametrize(("size", "given"), [((1, 1), (2, 2)), ((65, 1), (64, 2))])
def test_outputs_have_even_sides_of_at_least_two_pixels(
    tmp_path: Path, size: tuple[int, int], given: tuple[int, int]
) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((size[1], size[0], 3), np.uint8))
    camera = CameraOpener(camera_source(str(path), ASKED, "auto"), ASKED)
    assert (camera.info.width, camera.info.height) == given
    camera.close()


def test_files_are_opened_anew_each_round(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    rounds: list[Source] = []

    def open_source(*, again: bool) -> Source:
        assert again == bool(rounds)
        rounds.append(open_frames(clip, again=again))
        return rounds[-1]

    taken(PlayedSource(open_source, RATE), 30)
    assert len(rounds) == 3
