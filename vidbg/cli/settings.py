"""Options from the configuration file, its profiles and the environment.

The command line wins over the environment (VIDBG_BACKGROUND for --background), that over the
profile, that over the file's top level, that over what is built in. The file is TOML and its keys
are the options of `vidbg run` without their dashes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from vidbg.choices import refusal, suggestion
from vidbg.decoding import decoded
from vidbg.errors import ConfigError
from vidbg.paths import is_file

PROFILES = "profile"
ARGUMENTS = f"{__name__}.arguments"
FILE_NAME = "config.toml"

_NOT_KEPT = {"config", "profile", "help"}
"""Options of `vidbg run` that no file holds."""

_PATHS = {"log_file", "backgrounds"}

_RENAMED = {"whole-frame": "full-frame"}
"""Old names of options, which still work."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a file says, its chosen profile laid over its top level.

    Attributes:
        values: by parameter name, ready to be defaults.
        origins: by parameter name, where the value stands.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)


def default_file() -> Path:
    """The user's file: $XDG_CONFIG_HOME/vidbg/config.toml, or the platform's equivalent."""
    return Path(typer.get_app_dir("vidbg")) / FILE_NAME


def configurable(command: TyperCommand) -> dict[str, TyperOption]:
    """The options of `vidbg run` by the keys that a file gives them."""
    options = [p for p in command.params if isinstance(p, TyperOption)]
    return {key_of(option): option for option in options if option.name not in _NOT_KEPT}


def key_of(option: TyperOption) -> str:
    """ "light-wrap" for --light-wrap."""
    return next(name for name in option.opts if name.startswith("--"))[2:]


def variable_of(option: TyperOption) -> str:
    """ "VIDBG_LIGHT_WRAP" for --light-wrap."""
    return _variable(key_of(option))


def _variable(key: str) -> str:
    return "VIDBG_" + key.upper().replace("-", "_")


def current_name(name: str) -> str:
    """Return an option's present name, without dashes in front; "no-" may stand before it."""
    prefix = "no-" if name.startswith("no-") else ""
    return prefix + _RENAMED.get(name.removeprefix("no-"), name.removeprefix("no-"))


def load_settings(
    file: Path | None, profile: str | None, options: Mapping[str, TyperOption], context: Any
) -> Settings:
    """Read a file, or the user's own if there is one.

    Raises:
        ConfigError: it cannot be read, or has a key, type or profile that is not known.
    """
    path = file or default_file()
    table = _read(path, must_exist=file is not None or profile is not None)
    profiles = table.pop(PROFILES, {})
    if not isinstance(profiles, dict) or not all(isinstance(p, dict) for p in profiles.values()):
        raise ConfigError(f"{path}: {PROFILES} is not a table; write [{PROFILES}.NAME]")
    settings = Settings()
    _take(settings, table, str(path), options, path, context)
    for name, values in profiles.items():  # all are checked, one is taken
        chosen = settings if name == profile else Settings()
        _take(chosen, values, f"{path}, [{PROFILES}.{name}]", options, path, context)
    if profile is not None and profile not in profiles:
        known, meant = ", ".join(profiles) or "none", suggestion(profile, profiles)
        raise ConfigError(f"{path}: there is no profile {profile!r};{meant} there are: {known}")
    return settings


def _read(path: Path, *, must_exist: bool) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(decoded(path.read_bytes()))
    except FileNotFoundError:
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


def _take(
    settings: Settings,
    table: Mapping[str, Any],
    origin: str,
    options: Mapping[str, TyperOption],
    path: Path,
    context: Any,
) -> None:
    for key, value in table.items():
        option = options.get(current_name(key))
        if option is None or option.name is None:
            raise ConfigError(f"{origin}: {refusal('key', key, options)}")
        settings.values[option.name] = _checked(option, value, f"{origin}: {key}", path, context)
        settings.origins[option.name] = origin


def _checked(option: TyperOption, value: Any, where: str, path: Path, context: Any) -> Any:
    """The value as the option's type, paths made absolute."""
    kind = type(option.process_value(context, "1"))
    allowed, expected = _TOML_TYPES.get(kind, _TEXT)
    if option.name == "camera":
        allowed += (int,)
    if type(value) not in allowed:
        raise ConfigError(f"{where} is {value!r}; it must be {expected}")
    if kind is float and not math.isfinite(value):
        raise ConfigError(f"{where} is {value!r}; it must be {expected}, and finite")
    try:
        converted = option.process_value(context, value if kind is bool else str(value))
    except typer.BadParameter as error:
        raise ConfigError(f"{where} cannot be used: {error.message}") from error
    return _anchored(option, converted, where, path.absolute().parent)


_TEXT: tuple[tuple[type, ...], str] = ((str,), 'a text in quotes, such as "blur"')
_TOML_TYPES: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((float, int), "a number"),
}


def _anchored(option: TyperOption, value: Any, where: str, folder: Path) -> Any:
    """A relative path is taken from the file's folder."""
    if option.name in _PATHS:
        return folder / Path(value).expanduser()
    if option.name == "camera" and is_file(folder / value):
        return str(folder / value)
    if option.name == "background":
        from vidbg.compositing.backgrounds import parse_background

        try:
            spec = parse_background(value)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        return str(spec.resolved_in(folder)) if spec.files else value
    return value


ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Default: see `vidbg config path`."),
]
Profile = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="Profile of that file.")
]


class LiveCommand(TyperCommand):
    """`vidbg run`: every option may also stand in the environment and in a file."""

    taken: frozenset[str] | None = None
    """Parameters to take from there; None for all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in self._options():
            key = key_of(option)
            old = [_variable(name) for name, present in _RENAMED.items() if present == key]
            option.envvar = [variable_of(option), *old]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Make what the file says the defaults of this call.

        Raises:
            ConfigError: the file or the profile cannot be used.
        """
        ctx.meta[ARGUMENTS] = list(args)
        given, _, _ = self.make_parser(ctx).parse_args(list(args))
        if not ctx.resilient_parsing and "help" not in given:
            settings = self._load(ctx, given)
            ctx.default_map = settings.values
            ctx.meta[__name__] = settings
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for option in self._options():
            option.show_envvar = False  # the line at the end says it for all of them
        super().format_help(ctx, formatter)

    def _options(self) -> list[TyperOption]:
        """Those with a variable: what is taken, and where from."""
        options = [p for p in self.params if isinstance(p, TyperOption) and p.name != "help"]
        if self.taken is None:
            return options
        return [o for o in options if o.name in self.taken | {"config", "profile"}]

    def _load(self, ctx: Any, given: Mapping[str, Any]) -> Settings:
        chosen = {
            p.name: p.consume_value(ctx, given)[0]
            for p in self.params
            if p.name in ("config", "profile")
        }
        file = Path(chosen["config"]) if chosen["config"] else None
        commands = getattr(ctx.find_root().command, "commands", {})
        options = configurable(commands.get("run", self))
        settings = load_settings(file, chosen["profile"], options, ctx)
        if self.taken is None:
            return settings
        kept = {name: value for name, value in settings.values.items() if name in self.taken}
        return Settings(kept, settings.origins)


class FileCommand(LiveCommand):
    """`vidbg process`: takes what is of matting and compositing; it has another output."""

    taken = frozenset(
        (
            *("background", "fit", "offset", "feather", "light_wrap", "device", "gpu", "precision"),
            *("threads", "network_size", "smoothing", "refine", "people", "full_frame"),
            *("network", "quality"),
        )
    )


def options_for(file: Path | None, profile: str | None) -> list[str]:
    """What gives `vidbg run` this file and this profile."""
    given = [] if file is None else ["--config", str(file)]
    return given + ([] if profile is None else ["--profile", profile])


def run_context(ctx: typer.Context, arguments: Sequence[str]) -> Any:
    """A call of `vidbg run`, parsed, with all that its settings come to.

    Raises:
        ConfigError: the file or the profile cannot be used.
    """
    root = ctx.find_root()
    command = root.command.commands["run"]  # type: ignore[attr-defined]  # the app is a group
    return command.make_context("run", list(arguments), parent=root)  # it empties its list


def origin_of(context: typer.Context, option: TyperOption) -> str:
    """Where an option's value comes from, in words."""
    source = context.get_parameter_source(option.name or "")
    settings: Settings = context.meta[__name__]
    match source.name if source is not None else "":
        case "COMMANDLINE":
            return "command line"
        case "ENVIRONMENT":
            return f"environment, {variable_of(option)}"
        case "DEFAULT_MAP":
            return settings.origins[option.name or ""]
    return "built in"
