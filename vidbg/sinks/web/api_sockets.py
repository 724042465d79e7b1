"""The WebSockets of an API: its events and its previews."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Protocol

import msgspec
from aiohttp import WSMsgType, web

from vidbg.sinks.web import connections
from vidbg.sinks.web.newest_jpeg import NewestJpeg

EVENT_PERIOD_S = 0.1
"""Least time between two events, in seconds."""

IN_FLIGHT = 2
"""Frames that a preview may not have acknowledged yet."""

SOCKETS: Sequence[tuple[str, str, Sequence[str]]] = (
    (
        "/events",
        "A WebSocket: the state as JSON at once, and again when it changes, at most ten times a "
        "second.",
        (),
    ),
    (
        "/preview",
        f"A WebSocket: frames as JPEG. The client answers each with any text; {IN_FLIGHT} may be "
        "on their way.",
        ("view", "ticket"),
    ),
)
"""Path, description and query parameters of the WebSockets."""


class Watchable(Protocol):
    """What the WebSockets show; both methods are called from threads."""

    def event(self) -> Any:
        """Return the newest event, which is sent if it differs from the one before."""
        ...

    def check_view(self, view: str, ticket: str) -> None:
        """Refuse a view that does not exist, or that needs a ticket.

        Raises:
            ApiError: it is refused.
        """
        ...


class EventSocket:
    """Sends the newest event, encoded once for all clients, and asked for only while there are any.

    Args:
        api: gives the events.
    """

    def __init__(self, api: Watchable) -> None:
        self._api, self._clients, self._newest = api, 0, b""
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Send events over a WebSocket; a slow client misses some."""
        response = await connections.open_socket(request)

        async def send() -> None:
            sent = b""
            while True:
                changed = self._changed
                if self._newest == sent:
                    await changed.wait()
                else:
                    sent = self._newest
                    await response.send_frame(sent, WSMsgType.TEXT)

        self._clients += 1
        if self._task is None or self._task.done():
            self._newest = b""
            self._task = asyncio.create_task(self._watch())
        try:
            await connections.exchange(request, response, send())
        finally:
            self._clients -= 1
        return response

    async def _watch(self) -> None:
        """Ask for events, and wake the clients when there is another, until the last has gone."""
        while self._clients:
            event = msgspec.json.encode(await asyncio.to_thread(self._api.event))
            if event != self._newest:
                self._newest = event
                self._changed.set()
                self._changed = asyncio.Event()
            await asyncio.sleep(EVENT_PERIOD_S)


class PreviewSocket:
    """Sends the newest frames of a view, as fast as the client acknowledges them.

    Args:
        api: says which views may be seen.
        views: the frames, by name.
    """

    def __init__(self, api: Watchable, views: Mapping[str, NewestJpeg]) -> None:
        self._api, self._views = api, views

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Send frames over a WebSocket; IN_FLIGHT may be on their way."""
        view = request.query.get("view", "output")
        await asyncio.to_thread(self._api.check_view, view, request.query.get("ticket", ""))
        response = await connections.open_socket(request)
        free = asyncio.BoundedSemaphore(IN_FLIGHT)

        async def send() -> None:
            async with aclosing(self._views[view].frames()) as frames:
                await free.acquire()
                async for jpeg in frames:
                    await response.send_bytes(jpeg)
                    # A page that hangs still answers pings, but acknowledges nothing
                    async with asyncio.timeout(connections.SILENCE_S):
                        await free.acquire()

        def acknowledged() -> None:
            with suppress(ValueError):  # more often than there were frames
                free.release()

        await connections.exchange(request, response, send(), acknowledged)
        return response
