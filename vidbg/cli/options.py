"""Command-line options, generated from `vidbg.option_table`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidbg.compositing.backgrounds import background_usage
from vidbg.option import Command, Option, Target
from vidbg.option_table import GPU, options_of
from vidbg.option_values import to_field
from vidbg.sinks import output_usage

if TYPE_CHECKING:
    from vidbg.compositing import CompositingConfig
    from vidbg.config import MattingConfig
    from vidbg.picture.picture_config import PictureConfig

Params = Mapping[str, Any]
"""The values of a command's options, by parameter name."""

SETTINGS_GROUP = "Settings"

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Default: see `vidbg config path`.",
        rich_help_panel=SETTINGS_GROUP,
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Profile of that file.",
        rich_help_panel=SETTINGS_GROUP,
    ),
]


def takes_options(command: Command) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of a command to a function whose last parameter is `**params`.

    Typer reads them from its signature. `process` and `run` also get --config and --profile, which
    act while the command is parsed.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = [
            parameter
            for parameter in inspect.signature(function, eval_str=True).parameters.values()
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        added = [_parameter(option, command) for option in options_of(command)]
        if command in ("process", "run"):
            added += [
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind
                )
                for name, kind in (("config", ConfigFile), ("profile", Profile))
            ]
        function.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        return function

    return decorate


def _parameter(option: Option[Any], command: Command) -> inspect.Parameter:
    """Return the parameter of a command's function that typer makes an option of."""
    default = option.default_for(command)
    names = [f"--{option.key}"]
    if option.value_type is bool and not option.switch:
        names = [f"--{option.key}/--no-{option.key}"]
    if option.short:
        names.append(option.short)
    is_wide = len("|".join(option.choices)) > _WIDEST_CHOICES
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is ... else default,
        annotation=Annotated[
            option.type,
            typer.Option(
                *names,
                metavar=option.name.upper() if is_wide else option.metavar,
                help=help_text(option, command),
                rich_help_panel=option.group,
                # The callback checks choices: it knows aliases and suggests close matches.
                parser=str if option.choices else None,
                callback=use_gpu if option is GPU else lambda value: option.checked(value),
            ),
        ],
    )


_WIDEST_CHOICES = 16
"""Longer lists of choices go into the help text: the column would break them within words."""


def help_text(option: Option[Any], command: Command) -> str:
    """Format the help of an option, with the values that it allows."""
    is_wide = len("|".join(option.choices)) > _WIDEST_CHOICES
    text = option.help + (f" One of {', '.join(option.choices)}." if is_wide else "")
    return text.format(
        range=option.range,
        backgrounds=f"{background_usage(live=command == 'run')}.",
        outputs=f"{output_usage()}.",
    )


def use_gpu(number: int | None) -> int | None:
    """Limit this process to one NVIDIA GPU, by nvidia-smi's number; call it before CUDA loads.

    Raises:
        ConfigError: the number is below 0.
    """
    GPU.checked(number)
    if number is not None:
        os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        os.environ["CUDA_VISIBLE_DEVICES"] = str(number)
    return number


def values_for(target: Target, command: Command, params: Params) -> dict[str, Any]:
    """Collect the fields of a config that a command's options set.

    Raises:
        ConfigError: a value cannot be read.
    """
    return {
        option.config_field: to_field(option, params[option.name])
        for option in options_of(command)
        if option.target == target
    }


def matting_config(command: Command, params: Params) -> MattingConfig:
    """Return the config of a command's options for matting."""
    from vidbg.config import MattingConfig

    return MattingConfig(**values_for("matting", command, params))


def compositing_config(command: Command, params: Params) -> CompositingConfig:
    """Return the config of a command's options for compositing."""
    from vidbg.compositing import CompositingConfig

    return CompositingConfig(**values_for("compositing", command, params))


def picture_config(command: Command, params: Params) -> PictureConfig:
    """Return the config of a command's options for the camera's picture."""
    from vidbg.picture.picture_config import PictureConfig

    return PictureConfig(**values_for("picture", command, params))
