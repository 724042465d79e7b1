"""Outputs that need no virtual camera: raw pipe formats, MPEG-TS over UDP."""

from __future__ import annotations

import io
import socket
import threading
import time
from fractions import Fraction

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from vidbg.cli.app import app
from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks.addresses import is_stream
from vidbg.sinks.network_stream import NetworkStreamSink
from vidbg.sinks.raw_pipe import RawPipeSink

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
def test_a_pipe_format_that_cannot_be(options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["run", "--camera", "synthetic", *options])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("url", ["rtmp://host/live/secret", "udp://127.0.0.1", "udp://:9"])
def test_urls_that_are_refused_without_their_secrets(url: str) -> None:
    with pytest.raises(ConfigError, match="udp://HOST:PORT") as caught:
        is_stream(url)
    assert "secret" not in str(caught.value)
    assert not is_stream("/dev/video10")


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


def test_closing_a_stream_twice_leaves_no_thread() -> None:
    sink = NetworkStreamSink(INFO, "udp://127.0.0.1:9")
    sink.write(Frame(IMAGE, 0.0, 0))
    sink.close()
    sink.close()
    assert "vidbg-network-stream" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(SinkError, match="closed"):
        sink.write(Frame(IMAGE, 1.0, 1))
