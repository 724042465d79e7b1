"""The settings of a run: its live options by key, read from a config and written to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vidbg.compositing.compositor import as_compositing
from vidbg.errors import ConfigError
from vidbg.option import Option, Target
from vidbg.option_table import LIVE_OPTIONS, options_of
from vidbg.option_values import from_json, to_field, to_json
from vidbg.pipeline.live.live_config import LiveConfig
from vidbg.sinks.web.api_route import ApiError
from vidbg.util.choices import refusal

SETTINGS: dict[str, Option[Any]] = {option.key: option for option in LIVE_OPTIONS}
"""What can be changed during a run, by key."""

LOOK_SETTINGS: dict[str, Option[Any]] = {
    key: option
    for key, option in SETTINGS.items()
    if option.control is not None and option.control.section not in ("Camera", "Output")
}
"""The settings that a profile keeps: how things look, not what they are connected to."""

RUN_OPTIONS: dict[str, Option[Any]] = {o.key: o for o in options_of("run") if o.in_file}


def settings_of(config: LiveConfig) -> dict[str, Any]:
    """Return the values of SETTINGS as JSON, in the words of the configuration file."""
    return {
        key: to_json(option, getattr(_part(config, option.target), option.config_field))
        for key, option in SETTINGS.items()
    }


def with_settings(config: LiveConfig, values: Mapping[str, Any]) -> LiveConfig:
    """Return a config with other settings.

    Args:
        values: JSON by key of SETTINGS.
    Raises:
        ApiError: a key is unknown, or a value cannot be used; `field` says which.
    """
    for key, value in values.items():
        option = SETTINGS.get(key)
        if option is None:
            reason = refusal("setting", key[:80], SETTINGS)
            if key in RUN_OPTIONS:
                reason = f"{key} takes a restart: set it in the configuration file"
            raise ApiError(400, reason, key[:80])
        try:
            config = _with_field(config, option, to_field(option, from_json(option, value)))
        except ConfigError as error:
            raise ApiError(400, str(error), key) from None
    return config


def _part(config: LiveConfig, target: Target) -> Any:
    """Return the config that has the fields of a target."""
    match target:
        case "live":
            return config
        case "compositing":
            return as_compositing(config.background)
        case "matting":
            return config.matting
        case "picture":
            return config.picture
    raise ValueError(f"a live option is for {target}")


def _with_field(config: LiveConfig, option: Option[Any], value: Any) -> LiveConfig:
    part = replace(_part(config, option.target), **{option.config_field: value})
    match option.target:
        case "compositing":
            return replace(config, background=part)
        case "matting":
            return replace(config, matting=part)
        case "picture":
            return replace(config, picture=part)
    return part  # type: ignore[no-any-return]


def with_settings_of(config: LiveConfig, other: LiveConfig, keys: Sequence[str]) -> LiveConfig:
    """Return a config with some settings of another.

    Raises:
        ApiError: a key is unknown.
    """
    for key in keys:
        option = SETTINGS.get(key)
        if option is None:
            raise ApiError(400, refusal("setting", key[:80], SETTINGS), key[:80])
        value = getattr(_part(other, option.target), option.config_field)
        config = _with_field(config, option, value)
    return config
