"""Comparison with an older record of `vidbg bench --json`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidbg.errors import ConfigError
from vidbg.util.decoding import decoded

FORMAT = 1
"""Version of the record, its "format"; docs/bench-json.md says when it changes."""

Record = dict[str, Any]

_COMPARED = ("machine.cpu", "machine.cores", "machine.system", "source")
"""Fields that should be equal in two records for their figures to be comparable."""


def read_record(path: Path) -> Record:
    """Read what `vidbg bench` printed, with or without its tables before the JSON line.

    Raises:
        ConfigError: the file has no complete record, or one of a newer format.
    """
    try:
        text = decoded(path.read_bytes()).strip()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        text = ""
    try:
        record = _parsed(text)
        version = record.get("format", FORMAT)
        if version != FORMAT:
            raise ConfigError(
                f"{path} is a record of format {version!r}; this vidbg reads format {FORMAT}: "
                "measure again with `vidbg bench --json`"
            )
        _check_engines(record["engines"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise ConfigError(f"{path} is no record of `vidbg bench --json`: {reason}") from None
    return record


def _parsed(text: str) -> Record:
    """Parse the whole text as JSON, or else its last line."""
    for candidate in (text, text.rpartition("\n")[2]):
        try:
            record = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            return record
    raise ValueError("its last line is no JSON object")


def _check_engines(engines: object) -> None:
    """Refuse engines that the comparison cannot read.

    Raises:
        KeyError: something is missing; its name is the argument.
        TypeError, ValueError: something has the wrong type or value; the message names it.
    """
    if not isinstance(engines, list) or not engines:
        raise ValueError('"engines" is no list of engines')
    for engine in engines:
        for key in ("engine", "network_size"):
            if not isinstance(engine[key], str):
                raise TypeError(f"{key!r} is {engine[key]!r}, no text")
        for name, value in figures(engine).items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value):
                raise TypeError(f"the figure {name!r} is {value!r}, no number")


def figures(engine: Mapping[str, Any]) -> dict[str, float]:
    """Return the compared figures of one engine by their names in the table.

    Raises:
        KeyError, TypeError: it is not a complete record of an engine.
    """
    whole = engine["end_to_end"]
    values = {
        "FPS": whole["fps"],
        "latency p50 ms": whole["latency_ms"]["p50"],
        "latency p99 ms": whole["latency_ms"]["p99"],
        "CPU %": whole["cpu_percent"],
        "network alone p50 ms": engine["network"]["latency_ms"]["p50"],
        "first frame s": engine["first_frame_s"],
    }
    return values | {f"{name} p50 ms": t["p50"] for name, t in dict(engine["stages"]).items()}


@dataclass(frozen=True, slots=True)
class Change:
    """One figure then and now; `ratio` is now / then, None where it was 0."""

    engine: str
    what: str
    then: float
    now: float

    @property
    def ratio(self) -> float | None:
        return self.now / self.then if self.then else None

    def as_dict(self) -> dict[str, Any]:
        ratio = None if self.ratio is None else round(self.ratio, 4)
        figure = {"engine": self.engine, "figure": self.what, "then": self.then, "now": self.now}
        return {**figure, "ratio": ratio}


def changes(old: Record, new: Record) -> list[Change]:
    """Compare the figures of each engine that both records have at the same network size."""
    earlier = {(e["engine"], e["network_size"]): e for e in old["engines"]}
    result = []
    for engine in new["engines"]:
        before = earlier.get((engine["engine"], engine["network_size"]))
        if before is not None:
            then, now = figures(before), figures(engine)
            name = engine["engine"]
            result += [Change(name, key, then[key], now[key]) for key in now if key in then]
    return result


def differences(old: Record, new: Record) -> dict[str, tuple[Any, Any]]:
    """Return the differing conditions of two records, then and now, by name."""
    pairs = {name: (_looked_up(old, name), _looked_up(new, name)) for name in _COMPARED}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def comparison(old: Record, new: Record) -> Record:
    """Build the "against" entry that `--json --against` adds to the new record."""
    return {
        "differences": {
            name: {"then": then, "now": now} for name, (then, now) in differences(old, new).items()
        },
        "changes": [change.as_dict() for change in changes(old, new)],
    }


def _looked_up(record: Record, dotted: str) -> Any:
    value: Any = record
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
