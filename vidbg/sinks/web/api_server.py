"""An API, its WebSockets and its page, served with aiohttp."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec
from aiohttp import BodyPartReader, WSCloseCode, WSMsgType, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from vidbg.errors import VidbgError
from vidbg.platform.folders import cache_folder
from vidbg.sinks.web.api_errors import type_error
from vidbg.sinks.web.api_route import JSON, PREFIX, ApiError, Route, Upload, routes_of
from vidbg.sinks.web.newest_jpeg import SILENCE_S, NewestJpeg, drop_connection, limit_buffer
from vidbg.sinks.web.openapi import ErrorAnswer, Problem, openapi
from vidbg.sinks.web.page_files import PageFiles
from vidbg.sinks.web.web_access import add_headers, guard

logger = logging.getLogger(__name__)

PAGE = Path(__file__).with_name("page")
"""The page's folder."""

EVENT_PERIOD_S = 0.1
"""Least time between two events, in seconds."""

IN_FLIGHT = 2
"""Frames that a preview may not have acknowledged yet."""

_REQUEST_S = 10.0  # a client that sends nothing of its request for so long has gone
_UPLOAD_S = 600.0  # for a whole upload
_MAX_BYTES = 64 * 1024  # of the JSON in a request


class Api(Protocol):
    """What is served: its methods marked with `route`, and these. All are called from threads."""

    version: str

    def event(self) -> Any:
        """Return the newest event, which is sent if it differs from the one before."""
        ...

    def check_view(self, view: str, ticket: str) -> None:
        """Refuse a view that does not exist, or that needs a ticket.

        Raises:
            ApiError: it is refused.
        """
        ...


def api_application(
    api: Api, views: Mapping[str, NewestJpeg], hosts: Sequence[str], token: str
) -> web.Application:
    """Create the server of an API.

    Args:
        views: what /preview can show, by name.
        hosts: names or addresses that are served.
        token: what every request below PREFIX must carry.
    """
    app = web.Application(
        middlewares=[_explain_errors, guard(hosts, token, "/page/")], client_max_size=_MAX_BYTES
    )
    app[SOCKETS_KEY] = set()
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(_close_sockets)
    routes = routes_of(type(api))
    document = msgspec.json.encode(openapi(routes, SOCKETS, api.version))

    async def describe(_: web.Request) -> web.StreamResponse:
        return web.Response(body=document, content_type=JSON)

    for route in routes:
        handler = _handler(getattr(api, route.name), route)
        app.router.add_route(route.method, PREFIX + route.path, handler)
    app.router.add_get(f"{PREFIX}/openapi.json", describe)
    app.router.add_get(f"{PREFIX}/events", _Events(api).socket, allow_head=False)
    app.router.add_get(f"{PREFIX}/preview", _preview_socket(api, views), allow_head=False)
    PageFiles(PAGE).add_to(app)
    return app


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


@web.middleware
async def _explain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what is refused below PREFIX with JSON that says why."""
    try:
        return await handler(request)
    except ApiError as error:
        return _refusal(error.status, str(error), error.field)
    except VidbgError as error:
        return _refusal(400, str(error))
    except web.HTTPException as error:
        if error.status < 400 or not request.path.startswith(PREFIX):
            raise
        words = {
            404: "there is no such route; see openapi.json",
            405: "this route does not take this method; see openapi.json",
        }
        text = words.get(error.status) or error.text or error.reason
        answer = _refusal(error.status, text)
        answer.headers.update({k: v for k, v in error.headers.items() if k in _KEPT_HEADERS})
        return answer
    except (ConnectionError, asyncio.CancelledError):
        raise  # the client has gone
    except Exception:
        logger.exception("%s %s failed", request.method, request.path)
        return _refusal(500, "something went wrong inside vidbg; its log says what")


_KEPT_HEADERS = ("WWW-Authenticate", "Allow")


def _refusal(status: int, text: str, field: str | None = None) -> web.Response:
    body = msgspec.json.encode(ErrorAnswer(Problem(text, field)))
    return web.Response(status=status, body=body, content_type=JSON)


def _handler(method: Any, route: Route) -> Handler:
    """Create the handler of a route; `method` runs in a thread."""
    decoder = None if route.body in (None, Upload) else msgspec.json.Decoder(route.body)
    one_at_a_time = asyncio.Lock()

    async def answer(request: web.Request) -> web.StreamResponse:
        arguments = _query_values(request, route)
        arguments.update({name: request.match_info[name] for name in route.parameters})
        if route.body is Upload:
            if one_at_a_time.locked():
                raise ApiError(409, "another upload is under way; send this one when it is done")
            async with one_at_a_time, _received_file(request, route.max_bytes) as upload:
                return _response(
                    await asyncio.to_thread(method, **arguments, body=upload), route.media_type
                )
        if decoder is not None and (route.needs_body or request.body_exists):
            arguments["body"] = await _decoded(request, decoder)
        if not route.exclusive:
            return _response(await asyncio.to_thread(method, **arguments), route.media_type)
        async with one_at_a_time:
            if request.transport is None:
                raise ConnectionResetError("the client did not wait for its turn")
            return _response(await asyncio.to_thread(method, **arguments), route.media_type)

    return answer


def _response(answer: Any, media_type: str) -> web.Response:
    if isinstance(answer, str):
        return web.Response(text=answer, content_type=media_type)
    if isinstance(answer, bytes):
        return web.Response(body=answer, content_type=media_type)
    return web.Response(body=msgspec.json.encode(answer), content_type=JSON)


def _query_values(request: web.Request, route: Route) -> dict[str, Any]:
    """Read the query parameters, "true" for a bool."""
    values = {}
    for name, (kind, _) in route.query.items():
        if name in request.query:
            try:
                values[name] = msgspec.convert(request.query[name], kind, strict=False)
            except msgspec.ValidationError as error:
                raise type_error(error, request.query[name], kind, name) from None
    return values


async def _decoded(request: web.Request, decoder: msgspec.json.Decoder[Any]) -> Any:
    """Return the JSON of a request, of the type that the route takes.

    Raises:
        ApiError: the body is something else, is too large, or does not arrive in time.
    """
    if request.content_type != JSON:  # which other sites' forms cannot send
        raise ApiError(415, f"send {JSON}")
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise ApiError(415, "send JSON in UTF-8")
    if "Content-Encoding" in request.headers:
        raise ApiError(415, "the request is compressed; send it uncompressed")
    try:
        async with asyncio.timeout(_REQUEST_S):
            content = await request.read()
    except TimeoutError:
        raise ApiError(
            408, f"the rest of the request did not arrive within {_REQUEST_S:g} s"
        ) from None
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(413, f"the JSON is too large; send at most {_MAX_BYTES} bytes") from None
    except web.RequestPayloadError:
        raise ApiError(400, "the request broke off, or is not what its headers say") from None
    try:
        try:
            return decoder.decode(content)
        except msgspec.ValidationError as error:
            plain = msgspec.json.decode(content)  # the rest of it may be no JSON
            raise type_error(error, plain, decoder.type) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"the body is not JSON, or is nested too deeply: {error}") from None


@asynccontextmanager
async def _received_file(request: web.Request, max_bytes: int) -> AsyncIterator[Upload]:
    """Receive the file in a form, and delete it at the end of the `with` block.

    Raises:
        ApiError: it is no form with one file, is too large, or does not arrive in time.
    """
    if request.content_type != "multipart/form-data" or "Content-Encoding" in request.headers:
        raise ApiError(415, "send multipart/form-data with one file, named file")
    too_large = ApiError(413, f"the file is too large; send at most {max_bytes // 10**6} MB")
    if (request.content_length or 0) > max_bytes + _MAX_BYTES:
        raise too_large
    folder = Path(await asyncio.to_thread(_temporary_folder))
    try:
        path, received = folder / "upload", 0
        try:
            async with asyncio.timeout(_UPLOAD_S):
                part = await _next_part(request)
                with path.open("wb") as file:
                    while chunk := await _within(part.read_chunk(2**18)):
                        received += len(chunk)
                        if received > max_bytes:
                            raise too_large
                        await asyncio.to_thread(file.write, chunk)
        except TimeoutError:
            raise ApiError(408, "the file did not arrive in time; send it again") from None
        except HttpProcessingError as error:  # the headers of a part
            raise ApiError(400, f"the form is malformed: {error.message.strip()}") from None
        except (ValueError, web.RequestPayloadError, ConnectionError) as error:
            raise ApiError(
                400, f"the body is not a form with a file, or it broke off: {error}"
            ) from None
        yield Upload(part.filename or "", path)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _temporary_folder() -> str:
    """Make a folder on a disk, which the system's for temporary files may not be on.

    Those that killed runs left behind are removed.
    """
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("upload-*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > 2 * _UPLOAD_S:
                shutil.rmtree(old)
    return tempfile.mkdtemp(prefix="upload-", dir=folder)


async def _next_part(request: web.Request) -> BodyPartReader:
    reader = await request.multipart()
    part = await _within(reader.next())
    if not isinstance(part, BodyPartReader) or part.name != "file":
        raise ApiError(400, "send a form with one file, named file", "file")
    if {"Content-Encoding", "Content-Transfer-Encoding"} & part.headers.keys():
        raise ApiError(415, "send the file as it is, uncompressed")
    return part


async def _within(work: Any) -> Any:
    async with asyncio.timeout(_REQUEST_S):
        return await work


class _Events:
    """The newest event, encoded once for all clients, and asked for only while there are any."""

    def __init__(self, api: Api) -> None:
        self._api, self._clients, self._newest = api, 0, b""
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """Send events over a WebSocket; a slow client misses some."""
        response = await _opened_socket(request)
        self._clients += 1
        if self._task is None or self._task.done():
            self._newest = b""
            self._task = asyncio.create_task(self._watch())
        try:
            await _exchange(request, response, self._send(response), lambda: None)
        finally:
            self._clients -= 1
        return response

    async def _watch(self) -> None:
        while self._clients:
            event = msgspec.json.encode(await asyncio.to_thread(self._api.event))
            if event != self._newest:
                self._newest = event
                self._changed.set()
                self._changed = asyncio.Event()
            await asyncio.sleep(EVENT_PERIOD_S)

    async def _send(self, response: web.WebSocketResponse) -> None:
        sent = b""
        while True:
            changed = self._changed
            if self._newest == sent:
                await changed.wait()
            else:
                sent = self._newest
                await response.send_frame(sent, WSMsgType.TEXT)


def _preview_socket(api: Api, views: Mapping[str, NewestJpeg]) -> Handler:
    """Create a handler that sends the newest frames of a view as fast as they are acknowledged."""

    async def send(
        response: web.WebSocketResponse, newest: NewestJpeg, free: asyncio.Semaphore
    ) -> None:
        async with aclosing(newest.frames()) as frames:
            await free.acquire()
            async for jpeg in frames:
                await response.send_bytes(jpeg)
                async with asyncio.timeout(SILENCE_S):  # a page that hangs still answers pings
                    await free.acquire()

    async def socket(request: web.Request) -> web.StreamResponse:
        view = request.query.get("view", "output")
        await asyncio.to_thread(api.check_view, view, request.query.get("ticket", ""))
        response = await _opened_socket(request)
        free = asyncio.BoundedSemaphore(IN_FLIGHT)

        def acknowledged() -> None:
            with suppress(ValueError):  # more often than there were frames
                free.release()

        await _exchange(request, response, send(response, views[view], free), acknowledged)
        return response

    return socket


async def _opened_socket(request: web.Request) -> web.WebSocketResponse:
    response = web.WebSocketResponse(
        compress=False, timeout=1.0, max_msg_size=1024, heartbeat=SILENCE_S
    )
    await response.prepare(request)
    limit_buffer(request)
    return response


async def _exchange(
    request: web.Request,
    response: web.WebSocketResponse,
    sending: Coroutine[Any, Any, None],
    received: Callable[[], None],
) -> None:
    """Send, and call `received` for each message, until the client or the server ends it."""

    async def send() -> None:
        with suppress(ConnectionError, TimeoutError):
            await sending
        await response.close(code=WSCloseCode.GOING_AWAY)

    sender = asyncio.create_task(send())
    sockets = request.app[SOCKETS_KEY]
    sockets.add(response)
    try:
        async for _ in response:
            received()
    finally:
        sockets.discard(response)
        sender.cancel()
        if response.close_code == WSCloseCode.ABNORMAL_CLOSURE:
            drop_connection(request)


async def _close_sockets(app: web.Application) -> None:
    sockets = app[SOCKETS_KEY]
    for response in tuple(sockets):
        await response.close(code=WSCloseCode.GOING_AWAY, message=b"vidbg has ended")


SOCKETS_KEY = web.AppKey("sockets", set[web.WebSocketResponse])
"""The open WebSockets of an application."""
