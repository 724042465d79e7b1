"""The OpenAPI 3.1 document of an API, made from its table of routes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from vidbg.sinks.web.api_route import JSON, PREFIX, Route, Upload


class Problem(msgspec.Struct):
    """Why a request was refused.

    Attributes:
        field: what in the request is wrong, such as the key of a setting.
    """

    message: str
    field: str | None = None


class ErrorAnswer(msgspec.Struct):
    """The body of every answer from 400 on."""

    error: Problem


def openapi(
    routes: Sequence[Route], sockets: Iterable[tuple[str, str, Sequence[str]]], version: str
) -> dict[str, Any]:
    """Describe the routes.

    Args:
        sockets: path, description and query parameters of the WebSockets, which OpenAPI has no
            words for.
        version: of the program.
    """
    # Schemas of everything that routes take and answer
    types = [ErrorAnswer, *(kind for route in routes for kind in _types(route))]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    schema_of = dict(zip(map(repr, types), schemas, strict=True))
    refusal = {
        "description": "The request is refused.",
        "content": {JSON: {"schema": schema_of[repr(ErrorAnswer)]}},
    }
    # The routes, then the sockets as the requests that open them
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = {
            "operationId": route.name,
            "summary": route.summary,
            "parameters": _parameters(route),
            **_body(route, schema_of),
            "responses": {
                "200": {"description": "Done.", **_answer(route, schema_of)},
                "4XX": refusal,
            },
        }
    for path, text, query in sockets:
        paths[PREFIX + path] = {
            "get": {
                "operationId": path.strip("/") + "_socket",
                "summary": text,
                "parameters": [_parameter(name, "query", {"type": "string"}) for name in query],
                "responses": {"101": {"description": "A WebSocket."}, "4XX": refusal},
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "vidbg", "version": version, "summary": "Control of a live run."},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "query": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
        "security": [{"bearer": []}, {"query": []}],
    }


def _types(route: Route) -> list[Any]:
    content = [] if route.body in (None, Upload) else [route.body]
    answers = [kind for kind in route.answers if kind not in (bytes, str)]
    return content + answers + [kind for kind, _ in route.query.values()]


def _parameters(route: Route) -> list[dict[str, Any]]:
    in_path = [_parameter(name, "path", {"type": "string"}) for name in route.parameters]
    return in_path + [
        _parameter(name, "query", {**msgspec.json.schema(kind), "default": default})
        for name, (kind, default) in route.query.items()
    ]


def _parameter(name: str, place: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def _body(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    if route.body is None:
        return {}
    if route.body is Upload:
        file = {"type": "string", "contentMediaType": "application/octet-stream"}
        form = {"type": "object", "properties": {"file": file}, "required": ["file"]}
        return {
            "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}
        }
    return {
        "requestBody": {
            "required": route.needs_body,
            "content": {JSON: {"schema": schema_of[repr(route.body)]}},
        }
    }


def _answer(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for kind in route.answers:
        if kind is bytes:
            content[route.media_type] = {}
        elif kind is str:
            content[route.media_type] = {"schema": {"type": "string"}}
        else:
            content[JSON] = {"schema": schema_of[repr(kind)]}
    return {"content": content}
