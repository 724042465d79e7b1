"""The page, the MJPEG stream and the WebSocket of the web output, on aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from socket import SO_SNDBUF, SOL_SOCKET
from urllib.parse import quote

import cv2
from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Handler

from vidbg.frame import Image
from vidbg.sinks.web.web_access import add_headers, guard

_QUALITY = 85  # of JPEG
_SEND_BUFFER = 256 * 1024  # bytes a client may be behind in the system's buffer
_SILENCE_S = 20.0  # a client that accepts or answers nothing for so long has gone
_VIEWER_S = 0.5  # a client that has taken frames for so long is a viewer, not a probe
_MOST_BYTES = 4096  # of what a page sends


class NewestJpeg:
    """The newest frame for any number of clients; encoded once, and only on request.

    Call offer() from one thread and read watchers from any; the rest is for the server's thread.

    Attributes:
        watchers: clients that have been taking frames for half a second.
    """

    def __init__(self) -> None:
        self.watchers = 0
        self._latest: tuple[int, Image] | None = None
        self._jpeg = (0, b"")
        self._changed = asyncio.Event()
        self._closed = False

    def offer(self, image: Image) -> None:
        """Replace the frame; wake() tells the clients."""
        serial = 1 if self._latest is None else self._latest[0] + 1
        self._latest = (serial, image)

    def wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        self._closed = True
        self.wake()

    async def frames(self) -> AsyncGenerator[bytes]:
        """Yield the newest frame for one client, never the same one twice, until closed."""
        clock = asyncio.get_running_loop().time
        seen, viewer_s, counted = 0, None, False
        try:
            while not self._closed:
                if viewer_s is not None and not counted and clock() >= viewer_s:
                    self.watchers, counted = self.watchers + 1, True
                if self._latest is None or self._latest[0] == seen:
                    await self._wait(None if viewer_s is None or counted else viewer_s - clock())
                    continue
                seen, jpeg = self._encoded(*self._latest)
                yield jpeg
                if viewer_s is None:  # it asks for the next, and so has taken one
                    viewer_s = clock() + _VIEWER_S
        finally:
            self.watchers -= counted

    async def _wait(self, at_most_s: float | None) -> None:
        """Wait for another frame or the end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._changed.wait()

    def _encoded(self, serial: int, image: Image) -> tuple[int, bytes]:
        if self._jpeg[0] != serial:
            _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            self._jpeg = (serial, data.tobytes())
        return self._jpeg


def application(newest: NewestJpeg, host: str, token: str) -> web.Application:
    """Create the server's pages, which need the token; `host` is the name to serve as."""

    async def mjpeg(request: web.Request) -> web.StreamResponse:
        kind = "multipart/x-mixed-replace; boundary=frame"
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        _limit_buffer(request)
        try:
            async with aclosing(newest.frames()) as frames:
                await response.write(b"--frame\r\n")
                async for jpeg in frames:
                    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    async with asyncio.timeout(_SILENCE_S):
                        await response.write(head.encode() + jpeg + b"\r\n--frame\r\n")
        except TimeoutError:
            _drop(request)
        except ConnectionError:
            pass  # the client has gone
        return response

    app = picture_application(newest, host, token, "web_page")
    app.router.add_get("/stream.mjpg", mjpeg, allow_head=False)
    return app


def picture_application(newest: NewestJpeg, host: str, token: str, page: str) -> web.Application:
    """Create a page at / that shows the newest frame, sent over /ws; it needs the token.

    Args:
        page: the name of its three files in this folder, without .html, .css and .js.
    """
    app = web.Application(middlewares=[guard(host, token)], client_max_size=_MOST_BYTES)
    app.on_response_prepare.append(add_headers)
    app.router.add_get("/", _page(f"{page}.html"))
    app.router.add_get("/page.css", _file(f"{page}.css", "text/css"))
    app.router.add_get("/page.js", _file(f"{page}.js", "text/javascript"))
    app.router.add_get("/picture.js", _file("web_picture.js", "text/javascript"))
    app.router.add_get("/ws", _picture_socket(newest), allow_head=False)
    return app


def _picture_socket(newest: NewestJpeg) -> Handler:
    """Create a handler that sends the newest frame over a WebSocket."""

    async def socket(request: web.Request) -> web.StreamResponse:
        response = web.WebSocketResponse(
            compress=False, timeout=1.0, max_msg_size=1024, heartbeat=_SILENCE_S
        )
        await response.prepare(request)
        _limit_buffer(request)
        sender = asyncio.create_task(_send(response, newest))
        try:
            async for _ in response:
                pass
        finally:
            sender.cancel()
            if response.close_code == WSCloseCode.ABNORMAL_CLOSURE:
                _drop(request)
        return response

    return socket


def _page(name: str) -> Handler:
    """Create a handler for a page of this folder, which requests its files with the same token."""

    async def serve(request: web.Request) -> web.StreamResponse:
        token = request.query.get("token")
        # quoted: a client that needs no token may have been sent here with any text as one
        query = "" if token is None else f"?token={quote(token, safe='')}"
        text = _read(name).replace("{query}", query)
        return web.Response(text=text, content_type="text/html")

    return serve


def _file(name: str, kind: str) -> Handler:
    """Create a handler for a file of this folder, which is read again for each request."""

    async def serve(_: web.Request) -> web.StreamResponse:
        return web.Response(text=_read(name), content_type=kind)

    return serve


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


async def _send(response: web.WebSocketResponse, newest: NewestJpeg) -> None:
    with suppress(ConnectionError):
        async with aclosing(newest.frames()) as frames:
            async for jpeg in frames:
                await response.send_bytes(jpeg)
        await response.close()


def _drop(request: web.Request) -> None:
    """Close a connection without waiting for a client that accepts no data."""
    if request.transport is not None:
        request.transport.abort()


def _limit_buffer(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, _SEND_BUFFER)
