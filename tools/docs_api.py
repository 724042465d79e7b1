"""The reference of the HTTP API in the documentation, from the OpenAPI document that it serves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import vidbg
from vidbg.pipeline.live.controls.live_api import LiveApi
from vidbg.sinks.web.api_route import PREFIX, routes_of
from vidbg.sinks.web.api_sockets import SOCKETS
from vidbg.sinks.web.openapi import openapi

HIDDEN = ("ErrorAnswer", "Problem")
"""Types that the page explains in words."""


def api_reference() -> str:
    """Return a table of the routes, and one of the fields of each type."""
    document = openapi(routes_of(LiveApi), SOCKETS, vidbg.__version__)
    lines = ["| request | what it does |", "|---|---|"]
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            queries = [f"{p['name']}=" for p in route["parameters"] if p["in"] == "query"]
            query = "?" + "&".join(queries) if queries else ""
            request = f"`{method.upper()} {path.removeprefix(PREFIX)}{query}`"
            body = _content(route.get("requestBody", {}))
            answer = _content(route["responses"].get("200", {}))
            description = [route["summary"].replace("|", "\\|")]
            description += [f"Body: {body}."] if body else []
            description += [f"Answer: {answer}."] if answer else []
            lines.append(f"| {request} | {' '.join(description)} |")
    lines += ["", "### Types", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        if name not in HIDDEN:
            lines += _type_entry(name, schema)
    return "\n".join(lines)


def _content(holder: dict[str, Any]) -> str:
    """Return the types of a body: JSON by its schema, everything else by its media type."""
    named = {"multipart/form-data": "a form with one `file`"}
    return " or ".join(
        _words(content["schema"])
        if media_type == "application/json"
        else named.get(media_type, media_type)
        for media_type, content in holder.get("content", {}).items()
    )


def _type_entry(name: str, schema: dict[str, Any]) -> list[str]:
    about, _, attributes = schema.get("description", "").partition("\n\nAttributes:\n")
    fields = dict(_attributes(attributes))
    entry = [f"**{name}** {' '.join(about.split())}".rstrip(), f"{{ #type-{name.lower()} }}", ""]
    entry += ["| field | type | |", "|---|---|---|"]
    required = schema.get("required", [])
    for field, kind in schema.get("properties", {}).items():
        description = fields.get(field, "")
        text = f"{description[:1].upper()}{description[1:]}" if description else ""
        optional = "" if field in required else "may be left out"
        note = " ".join(filter(None, (text, f"({optional})" if optional else "")))
        entry.append(f"| `{field}` | {_words(kind)} | {note} |")
    return [*entry, ""]


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    for entry in re.split(r"\n(?= {4}\S)", text):
        names, _, description = " ".join(entry.split()).partition(": ")
        for name in names.split(", "):
            yield name, description.replace("|", "\\|")


def _words(schema: dict[str, Any]) -> str:
    """Describe a schema in a few words, with links to the types."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#type-{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_words(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f'"{value}"' for value in schema["enum"])
    if "prefixItems" in schema:
        return f"\\[{', '.join(map(_words, schema['prefixItems']))}\\]"
    if schema.get("type") == "array":
        return f"list of {_words(schema['items'])}" if schema.get("items") else "list"
    if schema.get("type") == "object" and "additionalProperties" in schema:
        return f"object of {_words(schema['additionalProperties'])}"
    return _NAMES.get(schema.get("type", ""), "any value")


_NAMES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "object",
}
