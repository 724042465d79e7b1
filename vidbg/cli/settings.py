"""Options set in the configuration file, its profiles and the environment.

In order of precedence: the command line, the environment (VIDBG_BACKGROUND for --background), the
profile, the top level of the file, the built-in default. The file is TOML, and its keys are the
options of `vidbg run` without their dashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption

from vidbg.cli.option_names import RENAMED, current_name
from vidbg.errors import ConfigError
from vidbg.option_table import CAMERA, SHARED_OPTIONS, options_of
from vidbg.option_values import anchored, from_json
from vidbg.util.choices import refusal, suggestion
from vidbg.util.decoding import settings_text

PROFILES = "profile"
ARGUMENTS = f"{__name__}.arguments"
FILE_NAME = "config.toml"

FILE_OPTIONS = {option.key: option for option in options_of("run")}
"""The options that a file can hold, by key."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in a file; those of the chosen profile override the top level.

    Attributes:
        values: by parameter name, ready to be used as defaults.
        origins: where each value comes from, by parameter name.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    def add(self, table: Mapping[str, Any], origin: str, folder: Path) -> None:
        """Add the keys of a table, which override those before.

        Args:
            origin: where the table stands, for messages.
            folder: of the file, from which relative paths are taken.
        Raises:
            ConfigError: a key is unknown, or its value is not one that the option takes.
        """
        for key, value in table.items():
            option = FILE_OPTIONS.get(current_name(key))
            if option is None:
                raise ConfigError(f"{origin}: {refusal('key', key, FILE_OPTIONS)}")
            if option is CAMERA and type(value) is int:
                value = str(value)
            try:
                self.values[option.name] = anchored(option, from_json(option, value), folder)
            except ConfigError as error:
                raise ConfigError(f"{origin}: {error}") from error
            self.origins[option.name] = origin


def default_file() -> Path:
    """Return the user's file: $XDG_CONFIG_HOME/vidbg/config.toml, or the platform's equivalent."""
    return Path(typer.get_app_dir("vidbg")) / FILE_NAME


def variable_of(key: str) -> str:
    """Return the environment variable of an option: "VIDBG_LIGHT_WRAP" for "light-wrap"."""
    return "VIDBG_" + key.upper().replace("-", "_")


def load_settings(file: Path | None, profile: str | None) -> Settings:
    """Read a file, or the user's default file if there is one.

    Raises:
        ConfigError: it cannot be read, or has an unknown key, type or profile.
    """
    path = file or default_file()
    table = _read_settings(path, must_exist=file is not None or profile is not None)
    profiles = table.pop(PROFILES, {})
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise ConfigError(f"{path}: {PROFILES} is not a table; write [{PROFILES}.NAME]")
    settings, folder = Settings(), path.absolute().parent
    settings.add(table, str(path), folder)
    for name, values in profiles.items():  # all are checked, one is used
        chosen = settings if name == profile else Settings()
        chosen.add(values, f"{path}, [{PROFILES}.{name}]", folder)
    if profile is not None and profile not in profiles:
        known, meant = ", ".join(profiles) or "none", suggestion(profile, profiles)
        raise ConfigError(f"{path}: there is no profile {profile!r};{meant} there are: {known}")
    return settings


def _read_settings(path: Path, *, must_exist: bool) -> dict[str, Any]:
    """Read a file as TOML; an empty table if it is missing and need not exist."""
    import tomllib

    try:
        return tomllib.loads(settings_text(path))
    except (FileNotFoundError, NotADirectoryError):  # a home of /dev/null, as services have
        if not must_exist:
            return {}
        raise ConfigError(f"{path} does not exist; `vidbg config init` writes an example") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not {error.encoding.upper()} ({error.reason} at byte {error.start}); "
            "save it as UTF-8"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except ValueError as error:
        raise ConfigError(f"{path} has a number of too many digits; mend it") from error
    except RecursionError as error:
        raise ConfigError(
            f"{path} is nested too deeply; values are texts, numbers or lists"
        ) from error


class LiveCommand(TyperCommand):
    """`vidbg run`: every option can also be set in the environment and in a file."""

    taken: frozenset[str] | None = None
    """Parameters that are taken from there; None for all of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in self._options():
            name = option.name or ""
            before = [old for old, new in RENAMED.items() if new.replace("-", "_") == name]
            option.envvar = [_VARIABLES[name], *map(variable_of, before)]
            if option.multiple:
                # Names may have spaces in them, at which typer would split the variable
                option.value_from_envvar = partial(_split, option)  # type: ignore[method-assign]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Use the settings in the file as the defaults of this call.

        Raises:
            ConfigError: the file or the profile cannot be used.
        """
        ctx.meta[ARGUMENTS] = list(args)
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        if not ctx.resilient_parsing and "help" not in given:
            file, profile = (
                next(p for p in self.params if p.name == name).consume_value(ctx, given)[0]
                for name in ("config", "profile")
            )
            settings = load_settings(Path(file) if file else None, profile)
            ctx.default_map = {
                name: value
                for name, value in settings.values.items()
                if self.taken is None or name in self.taken
            }
            ctx.meta[__name__] = settings
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for option in self._options():
            option.show_envvar = False  # the last line of the help covers all options
        super().format_help(ctx, formatter)

    def _options(self) -> list[TyperOption]:
        """Return the options that can be set in the environment."""
        names = _VARIABLES if self.taken is None else {*self.taken, "config", "profile"}
        return [p for p in self.params if isinstance(p, TyperOption) and p.name in names]


class FileCommand(LiveCommand):
    """`vidbg process`: takes the options that it shares with `vidbg run`."""

    taken = frozenset(option.name for option in SHARED_OPTIONS)


_VARIABLES = {
    "config": "VIDBG_CONFIG",
    "profile": "VIDBG_PROFILE",
    **{option.name: variable_of(option.key) for option in FILE_OPTIONS.values()},
}
"""The environment variable of each parameter."""


def _split(option: TyperOption, ctx: Any) -> list[str] | None:
    """Read a list from an option's environment variable, where commas stand between the values."""
    text = option.resolve_envvar_value(ctx)
    return None if text is None else [each.strip() for each in text.split(",")]


def options_for(file: Path | None, profile: str | None) -> list[str]:
    """Return the arguments that give `vidbg run` this file and this profile."""
    given = [] if file is None else ["--config", str(file)]
    return given + ([] if profile is None else ["--profile", profile])


def run_context(ctx: typer.Context, arguments: Sequence[str], command: Any = None) -> Any:
    """Parse the arguments of `vidbg run`, with its settings applied.

    Args:
        command: another that takes its options.
    Raises:
        ConfigError: the file or the profile cannot be used.
    """
    root = ctx.find_root()
    command = command or getattr(root.command, "commands", {}).get("run", ctx.command)
    # The list is a copy, because parsing empties it
    return command.make_context(command.name, list(arguments), parent=root)


def origin_of(context: typer.Context, name: str) -> str:
    """Say where an option's value comes from.

    Args:
        context: context of `vidbg run`.
        name: name of the option's parameter.
    """
    source = context.get_parameter_source(name)
    settings: Settings = context.meta[__name__]
    match source.name if source is not None else "":
        case "COMMANDLINE":
            return "command line"
        case "ENVIRONMENT":
            return f"environment, {_VARIABLES[name]}"
        case "DEFAULT_MAP":
            return settings.origins[name]
    return "built in"
