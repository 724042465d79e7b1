"""PipeWire, RTMP and SRT with the real programs, on this machine only: `make test-pipewire`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vidbg.errors import SinkError
from vidbg.frame import Frame, Image, StreamInfo
from vidbg.sinks import Sink
from vidbg.sinks.camera.pipewire import PipeWireSink, pipewire_problem
from vidbg.sinks.stream.broadcast import BroadcastSink, broadcast_problem

pytestmark = pytest.mark.pipewire

INFO = StreamInfo(640, 480, frame_rate=Fraction(20), live=True)
COLOURS = {
    (0, 0): (200, 60, 10),
    (0, 1): (30, 120, 220),
    (1, 0): (40, 180, 60),
    (1, 1): (90, 90, 90),
}
NEAR = 6  # grey levels: limited-range YUV, and the encoder
KEY = "secret-key"


def picture(index: int) -> Image:
    """Four quarters of one colour each, and in the middle a grey that changes with the index."""
    image = np.empty((480, 640, 3), np.uint8)
    for (row, column), colour in COLOURS.items():
        image[row * 240 : (row + 1) * 240, column * 320 : (column + 1) * 320] = colour
    image[200:280, 280:360] = 20 + index * 8 % 200
    return image


def check(images: NDArray[np.uint8]) -> None:
    """Every picture has its colours, and they move on."""
    for (row, column), colour in COLOURS.items():
        quarter = images[
            :, row * 280 + 40 : row * 280 + 160, column * 360 + 40 : column * 360 + 240
        ]
        assert np.abs(quarter.astype(int) - colour).max() <= NEAR
    assert np.count_nonzero(np.diff(images[:, 240, 320, 1].astype(int))) > len(images) // 2


class Feeder:
    """Writes pictures at the frame rate until it is stopped or the sink fails."""

    def __init__(self, sink: Sink) -> None:
        self.error: SinkError | None = None
        self.slowest_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(sink,))

    def _run(self, sink: Sink) -> None:
        index = 0
        while not self._stop.wait(1 / 20):
            start = time.monotonic()
            try:
                sink.write(Frame(picture(index), start, index))
            except SinkError as error:
                self.error = error
                return
            self.slowest_s = max(self.slowest_s, time.monotonic() - start)
            index += 1

    def failed(self, within_s: float) -> str:
        """Return what the sink reported within that time."""
        self._thread.join(within_s)
        assert self.error is not None
        return str(self.error)

    def __enter__(self) -> Feeder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


# --- PipeWire -------------------------------------------------------------------------------------


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """PipeWire and its session manager, in a folder of their own."""
    needed = ("gst-launch-1.0", "pipewire", "wireplumber", "dbus-run-session", "pw-dump")
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not found; make test-pipewire installs what it needs")
    folder = tempfile.mkdtemp()  # short, as the path of a socket must be
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    for name in ("PIPEWIRE_RUNTIME_DIR", "PIPEWIRE_REMOTE"):
        monkeypatch.delenv(name, raising=False)
    start = "pipewire & sleep 0.5; exec wireplumber"
    process = subprocess.Popen(
        ["dbus-run-session", "--", "sh", "-c", start],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(_manager)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _objects() -> list[dict[str, object]]:
    """Return the properties of PipeWire's objects."""
    dump = subprocess.run(["pw-dump"], capture_output=True, timeout=10)
    objects = json.loads(dump.stdout or "[]")
    return [(item.get("info") or {}).get("props") or {} for item in objects]


def _cameras() -> list[dict[str, object]]:
    return [item for item in _objects() if item.get("media.class") == "Video/Source"]


def _wait(until: Callable[[], object]) -> None:
    for _ in range(100):
        if until():
            return
        time.sleep(0.1)
    pytest.fail(f"{until.__name__} did not come within ten seconds")


def _manager() -> bool:
    return any("WirePlumber" in str(item.get("application.name")) for item in _objects())


def read_camera(count: int, file: Path) -> NDArray[np.uint8]:
    """Pictures as another program gets them; the format that they have on the way is asked for."""
    caps = "video/x-raw,format=YUY2,width=640,height=480"
    bgr = "videoconvert ! video/x-raw,format=BGR"
    pipeline = f"pipewiresrc num-buffers={count} ! {caps} ! {bgr} ! filesink location={file}"
    command = ["gst-launch-1.0", "-q", *pipeline.split()]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return np.fromfile(file, np.uint8).reshape(-1, 480, 640, 3)


@pytest.mark.usefixtures("session")
def test_a_pipewire_camera_is_seen_and_read(tmp_path: Path) -> None:
    assert pipewire_problem() is None
    with PipeWireSink(INFO, "Küche, 2") as sink, Feeder(sink) as feeder:
        _wait(_cameras)  # a reader that was there before it would wait for ever
        for reader in range(2):  # one goes, the next comes
            images = read_camera(30, tmp_path / f"{reader}.raw")
            assert len(images) == 30
            check(images)
        (camera,) = _cameras()
        assert camera["node.description"] == "Küche, 2"
        assert camera["media.role"] == "Camera"
    assert feeder.error is None
    assert feeder.slowest_s < 0.1
    assert not _cameras()


def test_a_pipewire_daemon_that_ends_is_reported(session: subprocess.Popen[bytes]) -> None:
    with PipeWireSink(INFO) as sink, Feeder(sink) as feeder:
        time.sleep(1)
        os.killpg(session.pid, signal.SIGTERM)
        assert "PipeWire has ended" in feeder.failed(within_s=5)
    with pytest.raises(SinkError, match="PipeWire does not answer"):
        PipeWireSink(INFO)


# --- RTMP and SRT ---------------------------------------------------------------------------------


def _address(protocol: str) -> str:
    kind = socket.SOCK_STREAM if protocol == "rtmp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    return f"rtmp://{host}/live/{KEY}" if protocol == "rtmp" else f"srt://{host}?passphrase={KEY}"


def _receiver(url: str, file: Path) -> subprocess.Popen[bytes]:
    """ffmpeg as the server; it writes what comes into a file."""
    listening = (
        ["-listen", "1", "-i", url] if url.startswith("rtmp") else ["-i", f"{url}&mode=listener"]
    )
    quiet = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
    process = subprocess.Popen([*quiet, *listening, "-c", "copy", str(file)])
    time.sleep(1)  # until it listens
    return process


def _sink(protocol: str, url: str) -> BroadcastSink:
    problem = broadcast_problem(protocol)
    if problem is not None:
        pytest.skip(f"{problem}; make test-pipewire installs what it needs")
    return BroadcastSink(INFO, url)


def _with_both_protocols(check_one: Callable[[str, Path], None], folder: Path) -> None:
    """Check RTMP and SRT at the same time, because both mostly wait."""
    with ThreadPoolExecutor(2) as pool:
        for check in [pool.submit(check_one, name, folder) for name in ("rtmp", "srt")]:
            check.result()


def test_streams_arrive(tmp_path: Path) -> None:
    _with_both_protocols(_check_stream, tmp_path)


def _check_stream(protocol: str, folder: Path) -> None:
    url, file = _address(protocol), folder / f"{protocol}.mkv"
    sink = _sink(protocol, url)
    receiver = _receiver(url, file)
    with sink, Feeder(sink) as feeder:
        time.sleep(6)
    assert feeder.error is None
    assert feeder.slowest_s < 0.1
    receiver.wait(15)
    with av.open(str(file)) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", 640, 480)
        assert bool(container.streams.audio) == (protocol == "rtmp")
        pictures = list(container.decode(video=0))
    check(np.stack([picture.to_ndarray(format="bgr24") for picture in pictures]))
    times = [float(picture.time or 0) for picture in pictures]
    keys = [at for picture, at in zip(pictures, times, strict=True) if picture.key_frame]
    assert times[-1] - times[0] > 3  # the time of the clock, less what a joining reader misses
    assert keys[1] - keys[0] == pytest.approx(2, abs=0.3)


def test_a_lost_server_is_reported_without_the_key(tmp_path: Path) -> None:
    _with_both_protocols(_check_lost_server, tmp_path)


def _check_lost_server(protocol: str, folder: Path) -> None:
    url = _address(protocol)
    sink = _sink(protocol, url)
    receiver = _receiver(url, folder / f"{protocol}.mkv")
    with sink, Feeder(sink) as feeder:
        time.sleep(3)
        receiver.kill()
        receiver.wait()
        error = feeder.failed(within_s=20)
    assert f"{protocol}://127.0.0.1" in error
    assert KEY not in error


@pytest.mark.parametrize("protocol", ["rtmp", "srt"])
def test_an_address_without_a_server_is_reported(protocol: str) -> None:
    with _sink(protocol, _address(protocol)) as sink, Feeder(sink) as feeder:
        error = feeder.failed(within_s=15)
    assert "ffmpeg ended with exit code 1" in error
    assert KEY not in error
