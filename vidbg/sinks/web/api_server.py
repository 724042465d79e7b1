"""An API, its WebSockets and its page, served with aiohttp."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from vidbg.errors import VidbgError
from vidbg.sinks.web.api_request import MAX_BYTES, query_values, read_json, received_file
from vidbg.sinks.web.api_route import JSON, PREFIX, ApiError, Route, Upload, routes_of
from vidbg.sinks.web.api_sockets import SOCKETS, EventSocket, PreviewSocket, Watchable
from vidbg.sinks.web.connections import close_sockets_at_end
from vidbg.sinks.web.newest_jpeg import NewestJpeg
from vidbg.sinks.web.openapi import ErrorAnswer, Problem, openapi
from vidbg.sinks.web.page_files import PageFiles
from vidbg.sinks.web.web_access import add_headers, guard

logger = logging.getLogger(__name__)

PAGE = Path(__file__).with_name("page")
"""The page's folder."""

_KEPT_HEADERS = ("WWW-Authenticate", "Allow")


class Api(Watchable, Protocol):
    """What is served: the methods marked with `route`, which are called from threads, and these."""

    version: str


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
        middlewares=[explain_errors, guard(hosts, token, "/page/")], client_max_size=MAX_BYTES
    )
    app.on_response_prepare.append(add_headers)
    close_sockets_at_end(app)
    routes = routes_of(type(api))
    document = msgspec.json.encode(openapi(routes, SOCKETS, api.version))

    async def describe(_: web.Request) -> web.StreamResponse:
        return web.Response(body=document, content_type=JSON)

    for route in routes:
        handler = route_handler(getattr(api, route.name), route)
        app.router.add_route(route.method, PREFIX + route.path, handler)
    app.router.add_get(f"{PREFIX}/openapi.json", describe)
    app.router.add_get(f"{PREFIX}/events", EventSocket(api).answer, allow_head=False)
    app.router.add_get(f"{PREFIX}/preview", PreviewSocket(api, views).answer, allow_head=False)
    PageFiles(PAGE).add_to(app)
    return app


@web.middleware
async def explain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
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


def _refusal(status: int, text: str, field: str | None = None) -> web.Response:
    body = msgspec.json.encode(ErrorAnswer(Problem(text, field)))
    return web.Response(status=status, body=body, content_type=JSON)


def route_handler(method: Any, route: Route) -> Handler:
    """Create the handler of a route; `method` runs in a thread."""
    decoder = None if route.body in (None, Upload) else msgspec.json.Decoder(route.body)
    turn = asyncio.Lock()

    async def answer(request: web.Request) -> web.StreamResponse:
        arguments = query_values(request, route)
        arguments.update({name: request.match_info[name] for name in route.parameters})
        if decoder is not None and (route.needs_body or request.body_exists):
            arguments["body"] = await read_json(request, decoder)
        async with AsyncExitStack() as held:  # until the method has returned
            if route.body is Upload:
                if turn.locked():
                    raise ApiError(
                        409, "another upload is under way; send this one when it is done"
                    )
                await held.enter_async_context(turn)
                file = received_file(request, route.max_bytes)
                arguments["body"] = await held.enter_async_context(file)
            elif route.exclusive:
                await held.enter_async_context(turn)
                if request.transport is None:
                    raise ConnectionResetError("the client did not wait for its turn")
            result = await asyncio.to_thread(method, **arguments)
        if isinstance(result, str):
            return web.Response(text=result, content_type=route.media_type)
        if isinstance(result, bytes):
            return web.Response(body=result, content_type=route.media_type)
        return web.Response(body=msgspec.json.encode(result), content_type=JSON)

    return answer
