"""Outputs that need no virtual camera: raw pipe formats, MPEG-TS over UDP."""

from __future__ import annotations

import errno
import io
import logging
import socket
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from contracts import write_until_it_fails

from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Colour, Frame, StreamInfo
from vidbg.sinks.encoding.h264_stream import H264Stream
from vidbg.sinks.stream import network_stream
from vidbg.sinks.stream.addresses import stream_url
from vidbg.sinks.stream.network_stream import NetworkStreamSink
from vidbg.sinks.stream.raw_pipe import RawPipeSink
from vidbg.sources.files.video_file_source import VideoFileSource
from vidbg.util.lifecycle import Closeable

INFO = StreamInfo(64, 48, frame_rate=Fraction(30), live=True)
COLOUR = (30, 120, 220)
IMAGE = np.full((48, 64, 3), COLOUR, np.uint8)
NEAR = 6  # limited-range YUV and the encoder's rounding


def test_i420_is_bare_planes() -> None:
    pipe = io.BytesIO()
    with RawPipeSink(INFO, pipe, raw_format="i420") as sink:
        sink.write(Frame(IMAGE, 0.0, 0))
    planes = np.frombuffer(pipe.getvalue(), np.uint8).reshape(48 * 3 // 2, 64)
    bgr = av.VideoFrame.from_ndarray(planes, format="yuv420p").to_ndarray(format="bgr24")
    assert np.abs(bgr.astype(int) - COLOUR).max() <= NEAR


@pytest.mark.parametrize(
    ("options", "message"),
    [(["-o", "-", "--pipe-format", "rgb"], "i420"), (["--pipe-format", "i420"], "--output -")],
)
def test_a_pipe_format_that_cannot_be(
    options: list[str], message: str, vidbg: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, err = vidbg("run", "--camera", "synthetic", *options)
    assert code == 2
    assert message in err


@pytest.mark.parametrize(
    "url", ["rtsp://host/live/secret", "udp://127.0.0.1", "udp://:9", "/dev/video10"]
)
def test_urls_that_are_refused_without_their_secrets(url: str) -> None:
    with pytest.raises(ConfigError, match="udp://HOST:PORT") as caught:
        stream_url(url)
    assert "secret" not in str(caught.value)


def _receive(url: str, frames: list[av.VideoFrame]) -> None:
    options = {"analyzeduration": "300000", "timeout": "10000000"}
    with av.open(url, format="mpegts", options=options, timeout=10) as container:
        for picture in container.decode(video=0):
            frames.append(picture)
            if len(frames) == 75:
                return


def test_a_udp_stream_is_received() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{probe.getsockname()[1]}"
    received: list[av.VideoFrame] = []
    receiver = threading.Thread(target=_receive, args=(url, received), daemon=True)
    receiver.start()
    time.sleep(0.5)  # the receiver binds its port
    slowest_s = 0.0
    with NetworkStreamSink(INFO, url) as sink:
        for index in range(300):
            start = time.monotonic()
            sink.write(Frame(IMAGE, start, index))
            slowest_s = max(slowest_s, time.monotonic() - start)
            time.sleep(1 / 30)
            if not receiver.is_alive():
                break
    receiver.join(timeout=15)
    assert len(received) == 75
    assert slowest_s < 0.5
    for picture in received:
        bgr = picture.to_ndarray(format="bgr24").astype(int)
        assert np.abs(bgr - COLOUR).max() <= NEAR
    keys = [float(picture.time or 0) for picture in received if picture.key_frame]
    assert keys[1] - keys[0] == pytest.approx(2, abs=0.25)
    assert float(received[-1].time or 0) > 75 / 35  # real time, not frame numbers


def _no_thread_is_left() -> bool:
    return not [thread.name for thread in threading.enumerate() if "vidbg" in thread.name]


def test_closing_a_stream_twice_leaves_no_thread() -> None:
    sink = NetworkStreamSink(INFO, "udp://127.0.0.1:9")
    sink.write(Frame(IMAGE, 0.0, 0))
    sink.close()
    sink.close()
    assert _no_thread_is_left()
    with pytest.raises(SinkError, match="closed"):
        sink.write(Frame(IMAGE, 1.0, 1))


def test_having_no_listener_is_no_failure() -> None:
    with NetworkStreamSink(INFO, "udp://127.0.0.1:9") as sink:
        for index in range(40):
            sink.write(Frame(IMAGE, index / 100, index))
            time.sleep(0.01)


def test_a_host_that_refuses_is_reported() -> None:
    """As where the network asks for it: `connect=1` has the answers of the host heard."""
    with NetworkStreamSink(INFO, "udp://127.0.0.1:9?connect=1") as sink:
        error = write_until_it_fails(sink, IMAGE)
    assert str(error) == (
        "the stream to udp://127.0.0.1:9 failed: Connection refused. Check the host, the port and "
        "the network connection"
    )
    assert _no_thread_is_left()


def test_an_unknown_host_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(SinkError, match="udp://nosuch:5000 cannot be opened: Name or service"):
        NetworkStreamSink(INFO, "udp://nosuch:5000")


class _Network(Closeable):
    """In the place of H264Stream: `trouble` happens at the third frame."""

    trouble: Callable[[], None]
    sent = 0

    def __init__(self, *_: object) -> None: ...

    def send(self, _: Frame) -> None:
        self.sent += 1
        if self.sent == 3:
            type(self).trouble()

    def finish(self) -> None: ...

    def close(self) -> None: ...


def _fake(monkeypatch: pytest.MonkeyPatch, trouble: Callable[[], None]) -> None:
    monkeypatch.setattr(_Network, "trouble", staticmethod(trouble), raising=False)
    monkeypatch.setattr(network_stream, "H264Stream", _Network)


def test_a_network_that_goes_down_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable() -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    _fake(monkeypatch, unreachable)
    with NetworkStreamSink(INFO, "udp://10.0.0.1:9") as sink:
        error = write_until_it_fails(sink, IMAGE)
        with pytest.raises(SinkError, match="Network is unreachable"):
            sink.write(Frame(IMAGE, 9.0, 9))
    assert "udp://10.0.0.1:9 failed: Network is unreachable. Check" in str(error)
    assert _no_thread_is_left()


def _wait(event: threading.Event) -> None:
    event.wait(20)


def test_a_connection_that_accepts_no_data_delays_no_other_output(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    moving = threading.Event()
    _fake(monkeypatch, lambda: _wait(moving))
    monkeypatch.setattr(network_stream, "STALL_S", 0.3)
    monkeypatch.setattr(network_stream, "PATIENCE_S", 0.1)
    with NetworkStreamSink(INFO, "udp://10.0.0.1:9") as sink:
        slowest_s = 0.0
        for index in range(20):
            start = time.monotonic()
            sink.write(Frame(IMAGE, index / 100, index))
            slowest_s = max(slowest_s, time.monotonic() - start)
            time.sleep(0.005)
        assert slowest_s < 0.2
        assert sink.dropped > 10
        assert "failed: it took nothing for 0.3 s" in str(write_until_it_fails(sink, IMAGE))
    assert "hangs and is abandoned" in caplog.text
    moving.set()


def test_an_opening_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answer.wait(20))
    monkeypatch.setattr(network_stream, "H264Stream", _Network)
    monkeypatch.setattr(network_stream, "CONNECT_S", 0.1)
    with pytest.raises(SinkError, match=r"cannot be opened: no answer within 0.1 s"):
        NetworkStreamSink(INFO, "udp://slow:5000")
    answer.set()


@pytest.mark.parametrize("size", [(1280, 720), (640, 360)])
def test_a_network_stream_says_its_colours(tmp_path: Path, size: tuple[int, int]) -> None:
    green = np.empty((size[1], size[0], 3), np.uint8)
    green[:] = (64, 177, 0)
    noise = np.random.default_rng(0)  # a file of a few packets is not known for MPEG-TS
    green[size[1] // 2 :] = noise.integers(0, 256, green[size[1] // 2 :].shape, dtype=np.uint8)
    with H264Stream(str(tmp_path / "a.ts"), StreamInfo(*size)) as stream:
        for index in range(3):
            stream.send(Frame(green, index / 30, index))
        stream.finish()
    with VideoFileSource(tmp_path / "a.ts") as source:
        assert source.info.colour == Colour(matrix=1, primaries=1, transfer=1)
        frame = next(iter(source))
    np.testing.assert_allclose(frame.image[40, 40], green[0, 0], atol=3)
