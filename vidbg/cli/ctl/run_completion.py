"""Completion of `vidbg ctl` from what the running vidbg has; nothing where none answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import typer

from vidbg.cli.ctl import setting_values
from vidbg.cli.ctl.run_client import client_of
from vidbg.errors import VidbgError

PATIENCE_S = 0.5
"""How long a shell may wait for a run's answer."""

Items = list[tuple[str, str]]
"""Words with their explanations."""


def keys(ctx: typer.Context, incomplete: str) -> Items:
    """Complete a setting's key."""
    return _matching(((o["key"], o["label"]) for o in _options(ctx)), incomplete)


def switches(ctx: typer.Context, incomplete: str) -> Items:
    """Complete what `toggle` switches."""
    two = (
        (o["key"], o["label"])
        for o in _options(ctx)
        if o["kind"] == "check" or len(o["choices"]) == 2
    )
    return _matching([("away", "Pause"), ("recording", "Record"), *two], incomplete)


def settings(ctx: typer.Context, incomplete: str) -> Items:
    """Complete KEY=VALUE.

    bash ends words at "=": there the key and the "=" are the last of the words before.
    """
    before = ctx.params.get("settings") or []
    if len(before) > 1 and before[-1] == "=":
        key, separator, word, prefix = before[-2], "=", incomplete, ""
    else:
        key, separator, word = incomplete.partition("=")
        prefix = f"{key}="
    options = _options(ctx)
    if not separator:
        return _matching(((f"{o['key']}=", o["label"]) for o in options), key)
    option = next((o for o in options if o["key"] == key), None)
    offered = [] if option is None else _values(ctx, option)
    return [(prefix + value, about) for value, about in _matching(offered, word)]


def backgrounds(ctx: typer.Context, incomplete: str) -> Items:
    """Complete a background by name."""
    return _matching(_backgrounds(ctx, "name"), incomplete)


def cameras(ctx: typer.Context, incomplete: str) -> Items:
    """Complete a camera."""
    return _matching(_choices(ctx, "/cameras"), incomplete)


def outputs(ctx: typer.Context, incomplete: str) -> Items:
    """Complete an output."""
    return _matching(_choices(ctx, "/outputs"), incomplete)


def profiles(ctx: typer.Context, incomplete: str) -> Items:
    """Complete a profile's name."""
    return _matching(((p["name"], "") for p in _asked(ctx, "/profiles")), incomplete)


def _values(ctx: typer.Context, option: setting_values.OptionAnswer) -> Iterable[tuple[str, str]]:
    """Return the values that an option offers, with their explanations."""
    lists: dict[str, Callable[[], Iterable[tuple[str, str]]]] = {
        "background": lambda: _backgrounds(ctx, "value"),
        "camera": lambda: _choices(ctx, "/cameras"),
        "output": lambda: _choices(ctx, "/outputs"),
    }
    if option["key"] in lists:
        return lists[option["key"]]()
    if option["kind"] == "check":
        return [("on", ""), ("off", "")]
    return [(choice["value"], choice["label"]) for choice in option["choices"]]


def _backgrounds(ctx: typer.Context, field: str) -> Items:
    answer = _asked(ctx, "/backgrounds") or {"kinds": [], "pictures": [], "files": []}
    kinds = [(kind["kind"], kind["label"]) for kind in answer["kinds"]]
    kinds += [(picture["value"], picture["name"]) for picture in answer["pictures"]]
    return kinds + [(file[field], file["name"]) for file in answer["files"]]


def _choices(ctx: typer.Context, path: str) -> Items:
    return [(choice["value"], choice["label"]) for choice in _asked(ctx, path)]


def _options(ctx: typer.Context) -> list[setting_values.OptionAnswer]:
    return list(setting_values.live_options(_asked(ctx, "/options")).values())


def _matching(items: Iterable[tuple[str, str]], incomplete: str) -> Items:
    return [(word, about) for word, about in items if word.startswith(incomplete)]


def _asked(ctx: typer.Context, path: str) -> Any:
    """Return an answer of the run; an empty one if there is none."""
    try:
        return client_of(ctx).ask("GET", path, patience_s=PATIENCE_S)
    except VidbgError:
        return []
