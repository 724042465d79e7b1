"""The control panel's page and its requests, served with aiohttp."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Protocol

from aiohttp import web

from vidbg.errors import VidbgError
from vidbg.sinks.web.web_server import NewestJpeg, picture_application

_REQUEST_S = 10.0  # that a page may take to send what it wants


class Control(Protocol):
    """The state and settings behind the panel. Its methods are called from the panel's threads."""

    def state(self) -> dict[str, Any]:
        """Return the run's state and appearance as JSON values."""
        ...

    def change(self, change: Any) -> None:
        """Apply the changes that the page sent as JSON values.

        Raises:
            VidbgError: the change is impossible; nothing was changed.
        """
        ...

    def thumbnail(self, number: int) -> bytes | None:
        """Return a small JPEG of one of the backgrounds to choose from; None if there is none.

        Never called concurrently.
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
    """Return the JSON of a request.

    Raises:
        HTTPException: the body is not JSON, is too large, or does not arrive in time.
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
