"""Checks of the types in a configuration, as far as its annotations tell."""

from __future__ import annotations

import dataclasses
import numbers
import os
import types
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from vidbg.errors import ConfigError

_WORDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a string",
    Path: "a path",
    types.NoneType: "None",
}


def check_field_types(config: Any) -> None:
    """Check the fields of a frozen dataclass, and convert values given in another form.

    Text and os.PathLike become paths, lists tuples, and numpy's values and fractions Python's own
    numbers, which can be written as JSON.

    Raises:
        ConfigError: the message gives the field, the value and what is allowed.
    """
    for name, hint in _hints(config.__class__).items():
        given = getattr(config, name)
        value = _plain(given)
        check_type(f"{type(config).__name__}.{name}", value, hint)
        if Path in _alternatives(hint) and isinstance(value, str | os.PathLike):
            value = value if isinstance(value, Path) else Path(os.fsdecode(value))
        if value is not given:
            object.__setattr__(config, name, value)


def _plain(value: Any) -> Any:
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):  # a scalar or an array
        value = value.tolist()
    if isinstance(value, list) or type(value) is tuple:
        return tuple(map(_plain, value))
    return float(value) if isinstance(value, Fraction) else value


def check_type(name: str, value: object, hint: Any) -> None:
    """Check the type of an argument.

    Args:
        name: what the message calls it.
        hint: as in an annotation, such as MattingConfig | None.
    Raises:
        ConfigError: the message gives the value and what is allowed.
    """
    if not fits(value, hint):
        short = isinstance(value, str | numbers.Number | None)
        shown = repr(value) if short else f"of the type {type(value).__name__}"
        raise ConfigError(f"{name} is {shown}; it must be {in_words(hint)}")


@cache
def _hints(config: Any) -> dict[str, Any]:
    hints = get_type_hints(config)
    return {field.name: hints[field.name] for field in dataclasses.fields(config)}


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def fits(value: object, hint: Any) -> bool:
    """Return whether a value is of a type, such as int | None or tuple[int, int].

    numpy's numbers count as numbers, True and False do not. Text is accepted for a path, and any
    text for a choice, since choices have aliases that are checked elsewhere.
    """
    kind = get_origin(hint) or hint
    if kind in (Union, types.UnionType):
        return any(fits(value, each) for each in get_args(hint))
    if kind is Literal:
        return isinstance(value, str) or value in get_args(hint)
    if kind is tuple:
        parts = get_args(hint)
        if not isinstance(value, tuple | list):
            return False
        repeated = len(parts) == 2 and parts[1] is Ellipsis
        expected = parts[:1] * len(value) if repeated else parts
        return len(value) == len(expected) and all(map(fits, value, expected))
    if kind in (int, float):
        if isinstance(value, bool):
            return False
        return isinstance(value, numbers.Integral if kind is int else numbers.Real)
    if kind is Path:
        return isinstance(value, str | os.PathLike)
    return isinstance(value, kind)


def in_words(hint: Any) -> str:
    """Describe a type for a message."""
    words = []
    for kind in _alternatives(hint):
        if get_origin(kind) is Literal:
            words += [repr(each) for each in get_args(kind)]
        elif get_origin(kind) is tuple:
            parts = " and ".join(in_words(each) for each in get_args(kind) if each is not Ellipsis)
            words.append(f"a tuple of {parts}")
        elif (get_origin(kind) or kind) is os.PathLike:
            words.append("a path")
        else:
            words.append(_WORDS.get(kind) or kind.__name__)
    return " or ".join(words)
