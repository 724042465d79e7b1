"""The web output, over real connections on loopback."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction

import cv2
import numpy as np
import pytest

from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Frame, StreamInfo
from vidbg.sinks import open_output
from vidbg.sinks.stream.addresses import web_address
from vidbg.sinks.web.web_sink import WebSink

aiohttp = pytest.importorskip("aiohttp")
connections = pytest.importorskip("vidbg.sinks.web.connections")
INFO = StreamInfo(640, 480, frame_rate=Fraction(30), live=True)
IMAGE = np.full((480, 640, 3), (30, 120, 220), np.uint8)
NOISE = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)


def _feed(sink: WebSink, stop: threading.Event) -> None:
    index = 0
    while not stop.wait(0.01):
        sink.write(Frame(IMAGE, index / 100, index))
        index += 1


@pytest.fixture
def sink() -> Iterator[WebSink]:
    sink, stop = WebSink(INFO), threading.Event()
    feeder = threading.Thread(target=_feed, args=(sink, stop))
    feeder.start()
    yield sink
    stop.set()
    feeder.join()
    sink.close()
    sink.close()
    assert "vidbg-web" not in {thread.name for thread in threading.enumerate()}


def _check(jpeg: bytes) -> None:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == IMAGE.shape
    assert np.abs(image.astype(int) - IMAGE).max() <= 4  # JPEG's rounding on a flat picture


def test_mjpeg_websocket_and_page(sink: WebSink) -> None:
    async def watch() -> None:
        url = f"http://127.0.0.1:{sink.port}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
            async with session.get(f"{url}/") as page:
                assert "canvas" in await page.text()
            async with session.get(f"{url}/stream.mjpg") as stream:
                assert await stream.content.readline() == b"--frame\r\n"
                for _ in range(5):
                    head = (await stream.content.readuntil(b"\r\n\r\n")).decode()
                    size = int(head.split("Content-Length: ")[1].split("\r")[0])
                    _check(await stream.content.readexactly(size))
                    await stream.content.readuntil(b"--frame\r\n")
            async with session.ws_connect(f"{url}/ws") as ws:
                for _ in range(5):
                    _check(await ws.receive_bytes())
            for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
                async with session.get(f"{url}/ws", headers=headers) as refused:
                    assert refused.status == 403

    asyncio.run(watch())


def test_a_stalled_client_delays_no_one() -> None:
    with WebSink(INFO) as sink, socket.create_connection(("127.0.0.1", sink.port)) as stalled:
        stalled.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        slowest_s = 0.0
        for index in range(150):  # some 50 MB, if all were sent
            start = time.monotonic()
            sink.write(Frame(NOISE, index / 100, index))
            slowest_s = max(slowest_s, time.monotonic() - start)
            time.sleep(0.01)
        start = time.monotonic()
        sink.close()
        assert time.monotonic() - start < 4
    assert slowest_s < 0.3


def test_a_client_watches_beside_one_that_stalls(sink: WebSink) -> None:
    async def watch() -> int:
        observed = 0
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session,
            session.ws_connect(f"http://127.0.0.1:{sink.port}/ws") as one,
            session.ws_connect(f"http://127.0.0.1:{sink.port}/ws") as other,
        ):
            for _ in range(10):
                _check(await one.receive_bytes())
                _check(await other.receive_bytes())
                observed += 1
        return observed

    with socket.create_connection(("127.0.0.1", sink.port)) as stalled:
        stalled.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert asyncio.run(watch()) == 10


def _until(sink: WebSink, watched: bool) -> bool:
    """Whether it comes to that within five seconds; there are new frames meanwhile."""
    for index in range(500):
        if sink.watched() is watched:
            return True
        sink.write(Frame(IMAGE, index / 100, index))
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("path", ["stream.mjpg", "ws"])
def test_it_knows_whether_there_are_viewers(sink: WebSink, path: str) -> None:
    async def watch() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
            url = f"http://127.0.0.1:{sink.port}"
            async with session.get(f"{url}/") as page:
                await page.text()
            assert sink.watched() is False  # a page without its socket watches nothing
            start = time.monotonic()
            if path == "ws":
                async with session.ws_connect(f"{url}/ws") as ws:
                    while not sink.watched():
                        await ws.receive_bytes()
            else:
                async with session.get(f"{url}/{path}") as stream:
                    while not sink.watched():
                        await stream.content.readany()
            assert 0.4 < time.monotonic() - start < 5

    assert sink.watched() is False
    asyncio.run(watch())
    assert _until(sink, False)


@pytest.mark.parametrize("path", ["stream.mjpg", "ws"])
def test_who_takes_frames_for_a_moment_is_no_viewer(sink: WebSink, path: str) -> None:
    """Nor for several moments: a page that asks again and again wakes no camera."""

    async def probe() -> None:
        url = f"http://127.0.0.1:{sink.port}/{path}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
            for _ in range(6):
                if path == "ws":
                    async with session.ws_connect(url) as ws:
                        await ws.receive_bytes()
                        await asyncio.sleep(0.2)
                else:
                    async with session.get(url) as stream:
                        await stream.content.readexactly(1000)
                        await asyncio.sleep(0.2)
                assert sink.watched() is False

    asyncio.run(probe())


def test_a_viewer_of_a_paused_run_counts_after_half_a_second() -> None:
    """A run that nobody watches shows two frames a second."""

    async def watch(sink: WebSink) -> float:
        start = time.monotonic()
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session,
            session.ws_connect(f"http://127.0.0.1:{sink.port}/ws") as ws,
        ):
            await ws.receive_bytes()
            while not sink.watched() and time.monotonic() - start < 5:
                await asyncio.sleep(0.02)
        return time.monotonic() - start

    with WebSink(INFO) as sink:
        sink.write(Frame(IMAGE, 0.0, 0))
        assert asyncio.run(watch(sink)) < 2


@pytest.mark.parametrize("path", ["stream.mjpg", "ws"])
def test_a_late_client_gets_the_last_frame_at_once(path: str) -> None:
    async def watch(port: int) -> None:
        url = f"http://127.0.0.1:{port}/{path}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2)) as session:
            if path == "ws":
                async with session.ws_connect(url) as ws:
                    _check(await ws.receive_bytes(timeout=2))
                return
            async with session.get(url) as stream:
                head = (await stream.content.readuntil(b"\r\n\r\n")).decode()
                _check(await stream.content.readexactly(int(head.split()[-1])))
                # The boundary behind it: browsers show a picture when it has ended.
                assert await stream.content.readexactly(11) == b"\r\n--frame\r\n"

    with WebSink(INFO) as sink:
        sink.write(Frame(IMAGE, 0.0, 0))
        time.sleep(0.2)
        asyncio.run(watch(sink.port))
        asyncio.run(watch(sink.port))


_UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
_KEY = b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("path", [b"stream.mjpg", b"ws"])
def test_clients_that_have_gone_silently_are_dropped(
    path: bytes, reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They leave no word: their machine is off, or they take and answer nothing any more."""
    monkeypatch.setattr(connections, "SILENCE_S", 0.4)
    with WebSink(INFO) as sink, socket.create_connection(("127.0.0.1", sink.port)) as client:
        client.sendall(b"GET /" + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        client.sendall((_UPGRADE + _KEY if path == b"ws" else b"") + b"\r\n")
        assert _until(sink, True)
        client.setblocking(False)
        start, index = time.monotonic(), 0
        while sink.watched() and time.monotonic() - start < 3:
            sink.write(Frame(NOISE, index / 100, index))
            index += 1
            time.sleep(0.01)
            with suppress(BlockingIOError):
                while reads and client.recv(1_000_000):
                    pass
        takes_pictures = path == b"stream.mjpg" and reads
        assert sink.watched() is takes_pictures
        client.setblocking(True)
        client.settimeout(5)
        if not takes_pictures:
            with suppress(ConnectionResetError):
                while client.recv(1_000_000):
                    pass  # what was on its way, then the end


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("aiohttp", "aiohttp.web"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SinkError, match=r"`pip install .*\[web\]'`"):
        WebSink(INFO)


def test_an_address_that_others_reach_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with WebSink(INFO, host="0.0.0.0") as sink:
        assert f"anyone who can reach 0.0.0.0 port {sink.port}" in caplog.text
    caplog.clear()
    WebSink(INFO).close()
    assert not caplog.text


def test_the_address_is_reported_with_its_token_and_stays() -> None:
    warnings: list[str] = []
    for _ in range(2):
        open_output("web:0", INFO, on_address=warnings.append).close()
    (first, token), (second, again) = (url.split("/?token=") for url in warnings)
    assert first.startswith("http://127.0.0.1:") and second.startswith("http://127.0.0.1:")
    assert token == again
    assert len(token) == 32
    with WebSink(INFO, host="0.0.0.0") as sink:
        assert sink.url == f"http://127.0.0.1:{sink.port}/?token={token}"


def test_a_port_in_use_is_reported() -> None:
    with WebSink(INFO) as first, pytest.raises(SinkError, match="cannot be served"):
        WebSink(INFO, port=first.port)


def test_addresses() -> None:
    assert web_address("web:8090") == web_address("http://127.0.0.1:8090/") == ("127.0.0.1", 8090)
    for wrong in ("/dev/video10", "web:", "web:x", "http://127.0.0.1/", "http://127.0.0.1:80/a"):
        with pytest.raises(ConfigError):
            web_address(wrong)
