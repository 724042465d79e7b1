"""The page, the MJPEG stream and the WebSocket of the web output, on aiohttp."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from vidbg.sinks.web import connections
from vidbg.sinks.web.newest_jpeg import NewestJpeg
from vidbg.sinks.web.web_access import add_headers, guard

_MAX_BYTES = 4096  # of what a page sends
_FOLDER = Path(__file__).parent
_FILES = {
    "/page.css": ("web_page.css", "text/css"),
    "/page.js": ("web_page.js", "text/javascript"),
    "/picture.js": ("web_picture.js", "text/javascript"),
}


def application(newest: NewestJpeg, host: str, token: str) -> web.Application:
    """Create the server's pages, which need the token; `host` is the name to serve as."""
    pages = WebPages(newest)
    app = web.Application(middlewares=[guard((host,), token)], client_max_size=_MAX_BYTES)
    app.on_response_prepare.append(add_headers)
    connections.close_sockets_at_end(app)
    app.router.add_get("/", pages.index)
    for path in _FILES:
        app.router.add_get(path, pages.file)
    app.router.add_get("/ws", pages.socket, allow_head=False)
    app.router.add_get("/stream.mjpg", pages.mjpeg, allow_head=False)
    return app


class WebPages:
    """The handlers of the web output's requests; files are read again for each request.

    Args:
        newest: the frames to show.
    """

    def __init__(self, newest: NewestJpeg) -> None:
        self._newest = newest

    async def index(self, request: web.Request) -> web.StreamResponse:
        """Send the page, which requests its files with the same token."""
        token = request.query.get("token")
        # quoted: a client that needs no token may have followed a link with any text as one
        query = "" if token is None else f"?token={quote(token, safe='')}"
        text = (_FOLDER / "web_page.html").read_text(encoding="utf-8").replace("{query}", query)
        return web.Response(text=text, content_type="text/html")

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Send a file of the page."""
        name, media_type = _FILES[request.path]
        text = (_FOLDER / name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=media_type)

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """Send frames over a WebSocket, each as JPEG."""
        response = await connections.open_socket(request)

        async def send() -> None:
            async with aclosing(self._newest.frames()) as frames:
                async for jpeg in frames:
                    await response.send_bytes(jpeg)

        await connections.exchange(request, response, send())
        return response

    async def mjpeg(self, request: web.Request) -> web.StreamResponse:
        """Send frames as parts of one endless answer."""
        kind = "multipart/x-mixed-replace; boundary=frame"
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        connections.limit_buffer(request)
        try:
            async with aclosing(self._newest.frames()) as frames:
                await response.write(b"--frame\r\n")
                async for jpeg in frames:
                    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    async with asyncio.timeout(connections.SILENCE_S):
                        await response.write(head.encode() + jpeg + b"\r\n--frame\r\n")
        except TimeoutError:
            connections.drop_connection(request)
        except ConnectionError:
            pass  # the client has gone
        return response
