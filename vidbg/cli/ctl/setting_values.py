"""Settings on the command line of `vidbg ctl`: KEY=VALUE in, JSON values out, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidbg.cli.option_names import current_name
from vidbg.errors import ConfigError
from vidbg.util.choices import refusal
from vidbg.util.paths import exists

ON = ("on", "true", "yes", "1")
OFF = ("off", "false", "no", "0")

OptionAnswer = Mapping[str, Any]
"""An option as GET /options describes it."""


def live_options(answer: Sequence[OptionAnswer]) -> dict[str, OptionAnswer]:
    """Return the options that can be changed, by key."""
    return {option["key"]: option for option in answer if option["live"]}


def find_option(key: str, options: Mapping[str, OptionAnswer]) -> OptionAnswer:
    """Return the option of a key, also of an older one.

    Raises:
        ConfigError: there is none; the message suggests the closest.
    """
    option = options.get(current_name(key))
    if option is None:
        raise ConfigError(refusal("setting", key, options))
    return option


def parse_settings(
    texts: Sequence[str], options: Mapping[str, OptionAnswer], *, local: bool
) -> dict[str, Any]:
    """Read KEY=VALUE arguments as the values that the API takes.

    A key of several values may be repeated. An empty value unsets what may be unset.

    Args:
        local: paths are of the run's computer, and become absolute: the run has another folder.
    Raises:
        ConfigError: an argument has no "=", its key is unknown, or its value is of another type.
    """
    values: dict[str, Any] = {}
    for text in texts:
        key, equals, word = text.partition("=")
        if not equals:
            raise ConfigError(
                f"{text!r} is not a setting; write KEY=VALUE, as in background=blur:40"
            )
        option = find_option(key, options)
        value = _parsed(option, word, local=local)
        if isinstance(value, list):
            value = values.get(option["key"], []) + value
        values[option["key"]] = value
    return values


def _parsed(option: OptionAnswer, word: str, *, local: bool) -> Any:
    """Read the text of one value as the API takes it."""
    if word == "" and option["optional"]:
        return None
    match option["kind"]:
        case "check":
            if word.lower() not in (*ON, *OFF):
                raise ConfigError(f"{option['key']} cannot be {word!r}; give on or off")
            return word.lower() in ON
        case "number":
            try:
                number = float(word)
            except ValueError:
                number = math.nan
            if not math.isfinite(number):
                raise ConfigError(f"{option['key']} cannot be {word!r}; give a number")
            return int(number) if number.is_integer() else number
        case "texts" | "output":
            return [word]
        case "file" | "background" | "camera" if local:
            return anchored(word)
    return word


def anchored(word: str) -> str:
    """Make a path that exists here absolute, also after a word, as in "slides:photos"."""
    head, colon, tail = word.partition(":")
    for before, name in (("", word), (head + colon, tail)):
        path = Path(name).expanduser()
        if name and exists(path):
            return before + str(path.absolute())
    return word


def shown(value: Any) -> str:
    """Format a setting's value as it would be typed."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def opposite(option: OptionAnswer, value: Any) -> Any:
    """Return the other value of a setting that has two.

    Raises:
        ConfigError: it has more.
    """
    choices = [choice["value"] for choice in option["choices"]]
    if option["kind"] == "check":
        return not value
    if len(choices) == 2 and value in choices:
        return choices[1 - choices.index(value)]
    raise ConfigError(
        f"{option['key']} has more than two values; change it by `vidbg ctl set {option['key']}=`"
    )
