"""Messages for requests whose content has the wrong types."""

from __future__ import annotations

import re
from typing import Any, get_type_hints

import msgspec

from vidbg.sinks.web.api_route import ApiError
from vidbg.util.choices import refusal
from vidbg.util.field_types import in_words

_TYPES = {
    "object": "an object",
    "array": "a list",
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}
"""Words for msgspec's names of JSON types."""

_LONGEST = 80


def type_error(
    error: msgspec.ValidationError, content: Any, kind: Any, parameter: str = ""
) -> ApiError:
    """Return the refusal of a request whose content has the wrong types.

    Args:
        error: what msgspec found first.
        content: the whole JSON that it looked at, or the text of a query parameter.
        kind: what it should be, such as a struct.
        parameter: name of that query parameter.
    """
    problem, _, path = str(error).partition(" - at `$")
    place = path.strip(".`").removeprefix("[...]") or parameter  # some key of a mapping
    field = re.split(r"[.\[]", place)[0] or None
    named = re.search(r"`(.*)`", problem)
    if problem.startswith("Object missing required field") and named:
        return ApiError(400, f"{named[1]} is missing; send it", named[1])
    if problem.startswith("Object contains unknown field") and named:
        return ApiError(400, refusal("field", named[1], kind.__struct_fields__), named[1])
    # The value at the place; what is allowed there
    for key in re.findall(r"[^.\[\]]+", path.strip("`")):
        if isinstance(content, list) and key.isdigit():
            content = content[int(key)]
        elif isinstance(content, dict):
            content = content.get(key)
    if problem.startswith("Expected") and named:
        words = named[1].split("`")[0].split(" | ")
        allowed = " or ".join(_TYPES.get(word, word) for word in words)
    elif problem.startswith("Invalid enum value") and field is not None:
        allowed = in_words(kind if parameter else get_type_hints(kind)[field])
    else:
        return ApiError(400, f"{place or 'the body'}: {problem}", field)
    try:
        value = msgspec.json.encode(content).decode()
    except (ValueError, OverflowError):  # msgspec reads some JSON that it cannot write
        value = "of another kind"
    value = value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}..."
    return ApiError(400, f"{place or 'the body'} is {value}; it must be {allowed}", field)
