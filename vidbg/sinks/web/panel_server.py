"""The control panel's page and what it asks for, on aiohttp."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Protocol

from aiohttp import web

from vidbg.errors import VidbgError
from vidbg.sinks.web.web_server import NewestJpeg, picture_application

_REQUEST_S = 10.0  # that a page may take to send what it wants


class Control(Protocol):
    """What the panel shows and changes. Called by threads of its own."""

    def state(self) -> dict[str, Any]:
        """How it goes and looks, as JSON has it."""
        ...

    def change(self, change: Any) -> None:
        """Take what the page sent, as JSON had it.

        Raises:
            VidbgError: it cannot be; all stays as it was.
        """
        ...

    def thumbnail(self, number: int) -> bytes | None:
        """A small JPEG of one of the backgrounds to choose from; None where there is none.

        Called once at a time.
        """
        ...


def panel_application(
    control: Control, newest: NewestJpeg, host: str, token: str
) -> web.Application:
    """GET / page, /state JSON, /ws the output's picture, /thumbnail/N a background; POST /look."""

    async def state(_: web.Request) -> web.StreamResponse:
        return web.json_response(control.state())

    one_thumbnail = asyncio.Lock()

    async def thumbnail(request: web.Request) -> web.StreamResponse:
        number = int(request.match_info["number"])
        async with one_thumbnail:
            if request.transport is None:
                raise ConnectionResetError("the client did not wait for its turn")
            jpeg = await asyncio.to_thread(control.thumbnail, number)
        if jpeg is None:
            raise web.HTTPNotFound(text="there is no such background, or it cannot be shown")
        return web.Response(body=jpeg, content_type="image/jpeg")

    async def look(request: web.Request) -> web.StreamResponse:
        change = await _json(request)
        try:
            await asyncio.to_thread(control.change, change)
        except VidbgError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        return web.json_response(control.state())

    app = picture_application(newest, host, token, "panel_page")
    app.router.add_get("/state", state)
    app.router.add_get(r"/thumbnail/{number:[0-9]{1,5}}", thumbnail)
    app.router.add_post("/look", look)
    return app


async def _json(request: web.Request) -> Any:
    """What a request holds.

    Raises:
        HTTPException: it holds no JSON, too much, or does not come in time.
    """
    if request.content_type != "application/json":  # which other sites' forms cannot send
        raise web.HTTPUnsupportedMediaType(text="send application/json")
    if "Content-Encoding" in request.headers:
        raise web.HTTPUnsupportedMediaType(text="send it uncompressed")
    try:
        async with asyncio.timeout(_REQUEST_S):
            text = await request.text()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"nothing more came for {_REQUEST_S:g} s") from None
    except (LookupError, ValueError, web.RequestPayloadError):
        raise web.HTTPBadRequest(text="that is no text; send JSON in UTF-8") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest(text="that is no JSON, or it is nested too deeply") from None
