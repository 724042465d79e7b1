"""Routes of an HTTP API, declared on the methods that answer them.

The server (`api_server`) and the OpenAPI document (`openapi`) are both made from the table that
`routes_of` returns, so that they cannot differ.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_type_hints

PREFIX = "/api/v1"
"""Prefix of every path; a change that breaks clients gets a new number."""

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
JSON = "application/json"
Handler = TypeVar("Handler", bound=Callable[..., Any])


class ApiError(Exception):
    """A request that is refused; the message says why and what to do.

    Args:
        status: of the answer: 400 wrong, 404 no such thing, 409 not in this state, 413 too large,
            415 of another type, 503 missing on this computer.
        field: what in the request is wrong, such as the key of a setting.
    """

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.field = status, field


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a client sent; the server deletes it after the answer.

    Attributes:
        name: as the client calls it: anything, never to be used as a path.
        path: where the server has put its content.
    """

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the API.

    Attributes:
        path: below PREFIX; "{id}" stands for a text.
        name: of the method that answers.
        summary: one sentence.
        parameters: names of the texts in the path.
        query: type of each query parameter, with its default.
        body: type of the JSON in the request, or Upload; None for no body.
        answers: types of the answer; bytes and str are sent as they are, others as JSON.
        media_type: of bytes and str.
        exclusive: requests wait for one another, because answering takes a processor.
        max_bytes: size of an upload.
        needs_body: a request without content is refused.
    """

    method: Method
    path: str
    name: str
    summary: str
    parameters: tuple[str, ...]
    query: dict[str, tuple[Any, Any]]
    body: Any
    answers: tuple[Any, ...]
    media_type: str
    exclusive: bool
    max_bytes: int
    needs_body: bool


@dataclass(frozen=True, slots=True)
class _Mark:
    method: Method
    path: str
    options: dict[str, Any] = field(default_factory=dict)


def route(
    method: Method,
    path: str,
    *,
    media_type: str = JSON,
    exclusive: bool = False,
    max_bytes: int = 0,
) -> Callable[[Handler], Handler]:
    """Mark a method as the answer to a route; see Route for the arguments.

    The method gets path parameters by name, the request's content as `body`, and query parameters
    as keyword-only arguments. It is called in a thread.
    """
    options = {"media_type": media_type, "exclusive": exclusive, "max_bytes": max_bytes}

    def mark(handler: Handler) -> Handler:
        handler.__route__ = _Mark(method, path, options)  # type: ignore[attr-defined]
        return handler

    return mark


def routes_of(api: type) -> list[Route]:
    """Return the table of routes of a class, in the order in which its methods are written."""
    return [
        _route(getattr(api, name), mark)
        for name, member in vars(api).items()
        if (mark := getattr(member, "__route__", None)) is not None
    ]


def _members(kind: Any) -> tuple[Any, ...]:
    """Return the types in a union, or the one type."""
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)


def _route(handler: Callable[..., Any], mark: _Mark) -> Route:
    hints = get_type_hints(handler, include_extras=True)
    keywords = [
        parameter
        for parameter in inspect.signature(handler).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    bodies = [kind for kind in _members(hints.get("body", NoneType)) if kind is not NoneType]
    return Route(
        method=mark.method,
        path=mark.path,
        name=handler.__name__,
        summary=(inspect.getdoc(handler) or "").partition("\n")[0],
        parameters=tuple(re.findall(r"\{(\w+)\}", mark.path)),
        query={each.name: (hints[each.name], each.default) for each in keywords},
        body=next(iter(bodies), None),
        answers=_members(hints["return"]),
        needs_body=bool(bodies) and NoneType not in _members(hints["body"]),
        **mark.options,
    )
