"""The page, the MJPEG stream and the WebSocket of the web output, on aiohttp."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from pathlib import Path
from urllib.parse import quote

from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Handler

from vidbg.sinks.web.newest_jpeg import SILENCE_S, NewestJpeg, drop_connection, limit_buffer
from vidbg.sinks.web.web_access import add_headers, guard

_MAX_BYTES = 4096  # of what a page sends


def application(newest: NewestJpeg, host: str, token: str) -> web.Application:
    """Create the server's pages, which need the token; `host` is the name to serve as."""

    async def mjpeg(request: web.Request) -> web.StreamResponse:
        kind = "multipart/x-mixed-replace; boundary=frame"
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        limit_buffer(request)
        try:
            async with aclosing(newest.frames()) as frames:
                await response.write(b"--frame\r\n")
                async for jpeg in frames:
                    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    async with asyncio.timeout(SILENCE_S):
                        await response.write(head.encode() + jpeg + b"\r\n--frame\r\n")
        except TimeoutError:
            drop_connection(request)
        except ConnectionError:
            pass  # the client has gone
        return response

    app = web.Application(middlewares=[guard((host,), token)], client_max_size=_MAX_BYTES)
    app.on_response_prepare.append(add_headers)
    app.router.add_get("/", _page("web_page.html"))
    app.router.add_get("/page.css", _file("web_page.css", "text/css"))
    app.router.add_get("/page.js", _file("web_page.js", "text/javascript"))
    app.router.add_get("/picture.js", _file("web_picture.js", "text/javascript"))
    app.router.add_get("/ws", _picture_socket(newest), allow_head=False)
    app.router.add_get("/stream.mjpg", mjpeg, allow_head=False)
    return app


def _picture_socket(newest: NewestJpeg) -> Handler:
    """Create a handler that sends the newest frame over a WebSocket."""

    async def socket(request: web.Request) -> web.StreamResponse:
        response = web.WebSocketResponse(
            compress=False, timeout=1.0, max_msg_size=1024, heartbeat=SILENCE_S
        )
        await response.prepare(request)
        limit_buffer(request)
        sender = asyncio.create_task(_send(response, newest))
        try:
            async for _ in response:
                pass
        finally:
            sender.cancel()
            if response.close_code == WSCloseCode.ABNORMAL_CLOSURE:
                drop_connection(request)
        return response

    return socket


def _page(name: str) -> Handler:
    """Create a handler for a page of this folder, which requests its files with the same token."""

    async def serve(request: web.Request) -> web.StreamResponse:
        token = request.query.get("token")
        # quoted: a client that needs no token may have been sent here with any text as one
        query = "" if token is None else f"?token={quote(token, safe='')}"
        text = _page_file(name).replace("{query}", query)
        return web.Response(text=text, content_type="text/html")

    return serve


def _file(name: str, kind: str) -> Handler:
    """Create a handler for a file of this folder, which is read again for each request."""

    async def serve(_: web.Request) -> web.StreamResponse:
        return web.Response(text=_page_file(name), content_type=kind)

    return serve


def _page_file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


async def _send(response: web.WebSocketResponse, newest: NewestJpeg) -> None:
    with suppress(ConnectionError):
        async with aclosing(newest.frames()) as frames:
            async for jpeg in frames:
                await response.send_bytes(jpeg)
        await response.close()
