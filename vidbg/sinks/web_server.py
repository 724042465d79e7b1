"""The page, the MJPEG stream and the WebSocket of the web output, on aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from socket import SO_SNDBUF, SOL_SOCKET
from urllib.parse import urlsplit

import cv2
from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Handler, Middleware

from vidbg.frame import Image

_QUALITY = 85  # of JPEG
_SEND_BUFFER = 256 * 1024  # bytes a client may be behind in the system's buffer
_SILENCE_S = 20.0  # a client that takes or answers nothing for so long has gone
_MOST_BYTES = 4096  # of what a page sends


class NewestJpeg:
    """The newest frame for any number of clients; encoded once, and only if one asks for it.

    offer() is for any one thread, watchers may be read by any; the rest is for the server's.

    Attributes:
        watchers: clients that are being served now.
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

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Counts a client for as long as it is served."""
        self.watchers += 1
        try:
            yield
        finally:
            self.watchers -= 1

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The newest frame each time, never one twice, until closed."""
        seen = 0
        while not self._closed:
            if self._latest is None or self._latest[0] == seen:
                await self._changed.wait()
                continue
            seen, jpeg = self._encoded(*self._latest)
            yield jpeg

    def _encoded(self, serial: int, image: Image) -> tuple[int, bytes]:
        if self._jpeg[0] != serial:
            _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            self._jpeg = (serial, data.tobytes())
        return self._jpeg


def application(newest: NewestJpeg, host: str) -> web.Application:
    """The server's pages; `host` is the name it was asked to serve as."""

    async def mjpeg(request: web.Request) -> web.StreamResponse:
        kind = "multipart/x-mixed-replace; boundary=frame"
        response = web.StreamResponse(headers={"Content-Type": kind, **HEADERS})
        await response.prepare(request)
        _limit_buffer(request)
        try:
            with newest.watched(), suppress(ConnectionError):
                await response.write(b"--frame\r\n")
                async for jpeg in newest:
                    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    async with asyncio.timeout(_SILENCE_S):
                        await response.write(head.encode() + jpeg + b"\r\n--frame\r\n")
        except TimeoutError:
            _drop(request)
        return response

    app = picture_application(newest, host, "web_page.html")
    app.router.add_get("/stream.mjpg", mjpeg)
    return app


def picture_application(newest: NewestJpeg, host: str, page: str) -> web.Application:
    """A page at / that shows the newest frame, which comes over /ws; for `host` and this machine.

    Args:
        page: its file's name in this folder.
    """
    app = web.Application(middlewares=[_own_names_only(host)], client_max_size=_MOST_BYTES)
    app.router.add_get("/", _file(page, "text/html"))
    app.router.add_get("/picture.js", _file("web_picture.js", "text/javascript"))
    app.router.add_get("/ws", _picture_socket(newest))
    return app


def _picture_socket(newest: NewestJpeg) -> Handler:
    """Sends the newest frame over a WebSocket, to pages of this server's alone."""

    async def socket(request: web.Request) -> web.StreamResponse:
        refuse_others(request)
        response = web.WebSocketResponse(
            compress=False, timeout=1.0, max_msg_size=1024, heartbeat=_SILENCE_S
        )
        await response.prepare(request)
        _limit_buffer(request)
        sender = asyncio.create_task(_send(response, newest))
        try:
            with newest.watched():
                async for _ in response:
                    pass
        finally:
            sender.cancel()
            if response.close_code == WSCloseCode.ABNORMAL_CLOSURE:
                _drop(request)
        return response

    return socket


def _file(name: str, kind: str) -> Handler:
    """Serves a file of this folder, read anew each time."""

    async def serve(_: web.Request) -> web.StreamResponse:
        text = Path(__file__).with_name(name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=kind, headers=HEADERS)

    return serve


def refuse_others(request: web.Request) -> None:
    """Refuse what another site's page asks for: browsers let any page ask.

    Raises:
        HTTPForbidden: it is one.
    """
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise web.HTTPForbidden(text="another site's page may not do that")


HEADERS = {"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"}


async def _send(response: web.WebSocketResponse, newest: NewestJpeg) -> None:
    with suppress(ConnectionError):
        async for jpeg in newest:
            await response.send_bytes(jpeg)
        await response.close()


def _drop(request: web.Request) -> None:
    """End a connection without waiting for a client that takes nothing."""
    if request.transport is not None:
        request.transport.abort()


def _limit_buffer(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, _SEND_BUFFER)


def _own_names_only(host: str) -> Middleware:
    """Refuses other names, with which a foreign site could be made to look like this one."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = urlsplit(f"//{request.host}").hostname or ""
        if name not in ("localhost", host) and not _is_ip(name):
            raise web.HTTPForbidden(text=f"this server is not called {name}")
        return await handler(request)

    return check


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
