"""Connections of web clients, which may be slow, hang or vanish."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Any

from aiohttp import WSCloseCode, web

SILENCE_S = 20.0
"""A client that accepts or answers nothing for this many seconds has gone."""

_SEND_BUFFER = 256 * 1024  # bytes a client may be behind in the system's buffer

_SOCKETS = web.AppKey("sockets", set[web.WebSocketResponse])
"""The open WebSockets of an application."""


def drop_connection(request: web.Request) -> None:
    """Close a connection without waiting for a client that accepts no data."""
    if request.transport is not None:
        request.transport.abort()


def limit_buffer(request: web.Request) -> None:
    """Limit the system's send buffer, so that a slow client sees the newest frame."""
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, _SEND_BUFFER)


def close_sockets_at_end(app: web.Application) -> None:
    """Prepare an application for exchange(): its WebSockets are closed when it ends."""
    sockets: set[web.WebSocketResponse] = set()

    async def close_all(_: web.Application) -> None:
        for response in tuple(sockets):
            await response.close(code=WSCloseCode.GOING_AWAY, message=b"vidbg has ended")

    app[_SOCKETS] = sockets
    app.on_shutdown.append(close_all)


async def open_socket(request: web.Request) -> web.WebSocketResponse:
    """Answer a request with a WebSocket, for short messages and the newest frames."""
    response = web.WebSocketResponse(
        compress=False, timeout=1.0, max_msg_size=1024, heartbeat=SILENCE_S
    )
    await response.prepare(request)
    limit_buffer(request)
    return response


async def exchange(
    request: web.Request,
    response: web.WebSocketResponse,
    sending: Coroutine[Any, Any, None],
    received: Callable[[], None] = lambda: None,
) -> None:
    """Run `sending`, and call `received` for each message, until client or server ends it."""

    async def send() -> None:
        with suppress(ConnectionError, TimeoutError):
            await sending
        await response.close(code=WSCloseCode.GOING_AWAY)

    sender = asyncio.create_task(send())
    sockets = request.app[_SOCKETS]
    sockets.add(response)
    try:
        async for _ in response:
            received()
    finally:
        sockets.discard(response)
        sender.cancel()
        if response.close_code == WSCloseCode.ABNORMAL_CLOSURE:
            drop_connection(request)
