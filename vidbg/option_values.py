"""Values of options: from JSON or TOML to the option's type, and from there to a config's field.

The command line, the configuration file and the API read their values here, so that one value means
the same in all three.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidbg.errors import ConfigError
from vidbg.option import Option
from vidbg.option_table import BACKGROUND, CAMERA
from vidbg.sinks import FIRST_FREE
from vidbg.util.limits import MAX_PIXELS, MIN_PIXELS, parse_size
from vidbg.util.paths import is_file

EXPECTED = {
    "check": "true or false",
    "number": "a number",
    "texts": "a string, or a list of strings",
    "output": "a string, or a list of strings",
}
"""What a value must be, by the option's kind; a string otherwise."""


def from_json(option: Option[Any], value: Any) -> Any:
    """Convert a value of JSON or TOML to the option's type, and check range and choices.

    Raises:
        ConfigError: it has the wrong type, is out of range, or is no choice.
    """
    if value is None and option.default is None:
        return None
    kind = option.value_type
    texts = [text for text in (option.example, option.default, "blur") if isinstance(text, str)]
    text = f'a string in quotes, such as "{texts[0]}"'
    expected = "a whole number" if kind is int else EXPECTED.get(option.kind, text)
    wrong = ConfigError(f"{option.key} is {_shortened(value)}; it must be {expected}")
    if kind in (int, float):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{option.key} is {value}; it must be {expected}, and finite")
        if kind is int and value != int(value):
            raise wrong
        try:
            value = kind(value)
        except OverflowError:
            raise ConfigError(f"{option.key} is far out of its range") from None
    elif kind is bool:
        if not isinstance(value, bool):
            raise wrong
    elif option.kind in ("texts", "output"):
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise wrong
        value = list(dict.fromkeys(texts))
        if option.kind == "output" and not value:
            value = ["none"]  # nobody, while no option at all means the first free camera
    elif type(value) is int and "".join(option.choices).isdigit():  # such as rotate = 90
        value = str(value)
    elif not isinstance(value, str):
        raise wrong
    elif kind is Path:
        if not value.strip():
            raise ConfigError(f"{option.key} is empty; give a path, or leave it out")
        value = Path(value).expanduser()
    return option.checked(value, option.key)


def anchored(option: Option[Any], value: Any, folder: Path) -> Any:
    """Take relative paths in an option's value from the folder of the file that has them.

    Raises:
        ConfigError: it is no background.
    """
    if value is None:
        return None
    if option.is_path:
        return folder / value
    if option is CAMERA and is_file(folder / value):
        return str(folder / value)
    if option is BACKGROUND:
        spec = _parse_background(value)
        resolved = spec.resolved_in(folder)
        return value if resolved == spec else str(resolved)
    return value


def to_field(option: Option[Any], value: Any) -> Any:
    """Convert an option's value to what the config's field holds.

    Raises:
        ConfigError: it cannot be read.
    """
    reader = _READERS.get(option.name)
    return value if reader is None else reader(value)


def to_json(option: Option[Any], value: Any) -> Any:
    """Convert the value of a config's field to JSON, in the words of the command line."""
    if option.name == "network_size" and isinstance(value, int):
        # The size with this number of pixels whose shape is the most usual, 16:9
        height = next(
            side for side in range(int((value * 9 / 16) ** 0.5), 0, -1) if value % side == 0
        )
        return f"{value // height}x{height}"
    if option.kind == "output":
        outputs = value if isinstance(value, tuple) else (value,)
        return [FIRST_FREE if output is None else output for output in outputs]
    return _plain(value)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        if len(value) == 2 and all(isinstance(side, int) for side in value):
            return f"{value[0]}x{value[1]}"
        return [_plain(each) for each in value]
    return str(value)


def parse_network_size(text: str | None) -> int | None:
    """Read a size such as "384x224" as the number of pixels of the network's input.

    Raises:
        ConfigError: it is not a size, or it has too few or too many pixels.
    """
    if text is None:
        return None
    width, height = parse_size("network-size", text)
    if not MIN_PIXELS <= width * height <= MAX_PIXELS:
        raise ConfigError(
            f"network-size {text} has {width * height} pixels; allowed are "
            f"{MIN_PIXELS} (128x128) to {MAX_PIXELS} (2048x2048)"
        )
    return width * height


def _parse_background(text: str) -> Any:
    from vidbg.compositing import parse_background  # loads NumPy, which the help does without

    return parse_background(text)


def _outputs(value: str | list[str] | None) -> str | tuple[str, ...] | None:
    """Return the outputs as LiveConfig has them: one as it is."""
    if not isinstance(value, list):
        return value
    return tuple(value) if len(value) > 1 else value[0]


def _shortened(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)  # null, true, false: as they were written
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a huge number"
    text = str(value) if isinstance(value, datetime.date | datetime.time) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


_READERS: dict[str, Callable[[Any], Any]] = {
    "background": _parse_background,
    "network_size": parse_network_size,
    "output": _outputs,
    "size": lambda text: parse_size("size", text),
    "output_size": lambda text: None if text is None else parse_size("output-size", text),
}
"""Readers for options whose config takes another type than the command line."""
