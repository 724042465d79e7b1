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
    schema_of, components = _schemas(routes)
    refusal = {
        "description": "The request is refused.",
        "content": {JSON: {"schema": schema_of[repr(ErrorAnswer)]}},
    }
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, schema_of)
        operation["responses"]["4XX"] = refusal
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = operation
    for path, text, query in sockets:  # as the requests that open them
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


def _schemas(routes: Sequence[Route]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of each type that routes take or answer, by its repr, and components."""
    types: list[Any] = [ErrorAnswer]
    for route in routes:
        kinds = [route.body, *route.answers]
        types += [kind for kind in kinds if kind not in (None, Upload, bytes, str)]
        types += [kind for kind, _ in route.query.values()]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    return dict(zip(map(repr, types), schemas, strict=True)), components


def _operation(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    """Describe a route, except for what it answers to a request that is refused."""
    parameters = [_parameter(name, "path", {"type": "string"}) for name in route.parameters]
    for name, (kind, default) in route.query.items():
        schema = {**msgspec.json.schema(kind), "default": default}
        parameters.append(_parameter(name, "query", schema))
    answers: dict[str, Any] = {}
    for kind in route.answers:
        if kind is bytes:
            answers[route.media_type] = {}
        elif kind is str:
            answers[route.media_type] = {"schema": {"type": "string"}}
        else:
            answers[JSON] = {"schema": schema_of[repr(kind)]}
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": parameters,
    }
    if route.body is Upload:
        file = {"type": "string", "contentMediaType": "application/octet-stream"}
        form = {"type": "object", "properties": {"file": file}, "required": ["file"]}
        content = {"multipart/form-data": {"schema": form}}
        operation["requestBody"] = {"required": True, "content": content}
    elif route.body is not None:
        content = {JSON: {"schema": schema_of[repr(route.body)]}}
        operation["requestBody"] = {"required": route.needs_body, "content": content}
    operation["responses"] = {"200": {"description": "Done.", "content": answers}}
    return operation


def _parameter(name: str, place: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}
