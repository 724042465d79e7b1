"""The control panel's page and what it asks for, on aiohttp."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Protocol

from aiohttp import web

from vidbg.errors import VidbgError
from vidbg.sinks.web_server import HEADERS, NewestJpeg, picture_application, refuse_others


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
        """A small JPEG of one of the backgrounds to choose from; None where there is none."""
        ...


def panel_application(control: Control, newest: NewestJpeg, host: str) -> web.Application:
    """GET / page, /state JSON, /ws the output's picture, /thumbnail/N a background; POST /look."""

    async def state(_: web.Request) -> web.StreamResponse:
        return web.json_response(control.state(), headers=HEADERS)

    async def thumbnail(request: web.Request) -> web.StreamResponse:
        number = int(request.match_info["number"])
        jpeg = await asyncio.to_thread(control.thumbnail, number)
        if jpeg is None:
            raise web.HTTPNotFound(text="there is no such background, or it cannot be read")
        return web.Response(body=jpeg, content_type="image/jpeg", headers=HEADERS)

    async def look(request: web.Request) -> web.StreamResponse:
        refuse_others(request)
        if request.content_type != "application/json":  # which other sites' pages cannot send
            raise web.HTTPUnsupportedMediaType(text="send JSON")
        try:
            change = json.loads(await request.text())
        except ValueError:
            raise web.HTTPBadRequest(text="that is no JSON") from None
        try:
            await asyncio.to_thread(control.change, change)
        except VidbgError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        return web.json_response(control.state(), headers=HEADERS)

    app = picture_application(newest, host, "panel_page.html")
    app.router.add_get("/state", state)
    app.router.add_get(r"/thumbnail/{number:\d{1,5}}", thumbnail)
    app.router.add_post("/look", look)
    return app
