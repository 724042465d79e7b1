"""Definition of an option: its type, default and range, and where it appears."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin

from vidbg.util.choices import check_choice
from vidbg.util.limits import Limits

Command = Literal["process", "run", "bench", "build"]

Target = Literal[
    "matting", "compositing", "picture", "live", "output", "encoding", "benchmark", "command"
]
"""The config that takes an option's value, see TARGETS; "command" is for the command line alone."""

TARGETS: dict[Target, str] = {
    "matting": "vidbg.config:MattingConfig",
    "compositing": "vidbg.compositing.compositor:CompositingConfig",
    "picture": "vidbg.picture.picture_config:PictureConfig",
    "live": "vidbg.pipeline.live.live_config:LiveConfig",
    "output": "vidbg.pipeline.files.file_outputs:OutputConfig",
    "encoding": "vidbg.sinks.encoding.formats:Encoding",
    "benchmark": "vidbg.benchmark.benchmark:BenchmarkConfig",
}
"""Module and class of each config."""

T = TypeVar("T")


Section = Literal[
    "Background",
    "Edge",
    "Person",
    "Picture",
    "Framing",
    "Overlay",
    "Camera",
    "Output",
    "Away",
    "Quality",
]
"""Headings of the page, in their order."""

Kind = Literal[
    "check",
    "number",
    "choice",
    "text",
    "texts",
    "file",
    "colour",
    "background",
    "camera",
    "output",
]
"""How the page shows an option."""


@dataclass(frozen=True, slots=True)
class Control:
    """How the page and the API show an option.

    Attributes:
        section: the heading that it stands under.
        label: its text on the page.
        step: of a number.
        labels: texts of the choices, where the words themselves are not clear.
        kind: where the option's type does not say it, such as "colour" for a text.
    """

    section: Section
    label: str
    step: float = 1.0
    labels: Mapping[str, str] = field(default_factory=dict)
    kind: Kind | None = None


@dataclass(frozen=True, kw_only=True)
class Option(Generic[T]):
    """One option, with everything that is needed to show or read it.

    Attributes:
        name: its parameter, such as "light_wrap" for --light-wrap.
        type: what typer converts a word to: str, int, float, bool, Path or a Literal; with None
            if the value is optional.
        default: the value if none is given; ... if the option is required.
        help: one sentence. "{range}" stands for the range with its unit.
        group: the heading in --help and in the example of the config file.
        commands: the commands that have it.
        target, stored_as: the config that the value is for, and its field, which is named like the
            option unless it says otherwise.
        command_defaults: different defaults, by command.
        limits: the range of a number.
        unit: such as "px" or "s".
        aliases: other names for a choice.
        flag: its name on the command line, if that is not the parameter's.
        short: a one-letter form, such as "-b".
        metavar: stands for the value in --help.
        switch: a bool without a --no- form.
        in_file: it may stand in the config file and the environment.
        is_path: relative paths in the config file are taken from the file's folder.
        live: may change while `vidbg run` is running.
        control: how page and API show it; None for an option without a control.
        example: its value in the example of the config file; None for the default.
    """

    name: str
    type: Any
    default: T
    help: str
    group: str
    commands: tuple[Command, ...]
    target: Target
    stored_as: str = ""
    command_defaults: Mapping[Command, object] = field(default_factory=dict)
    limits: Limits | None = None
    unit: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)
    flag: str = ""
    short: str = ""
    metavar: str | None = None
    switch: bool = False
    in_file: bool = True
    is_path: bool = False
    live: bool = False
    control: Control | None = None
    example: object = None

    @property
    def key(self) -> str:
        """ "light-wrap" for --light-wrap: its key in the config file."""
        return self.flag or self.name.replace("_", "-")

    @property
    def config_field(self) -> str:
        return self.stored_as or self.name

    @property
    def value_type(self) -> Any:
        """The type without None."""
        if get_origin(self.type) not in (Union, types.UnionType):
            return self.type
        return next(kind for kind in get_args(self.type) if kind is not types.NoneType)

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words; empty if the option is not a choice."""
        kind = self.value_type
        return get_args(kind) if get_origin(kind) is Literal else ()

    @property
    def kind(self) -> Kind:
        """What the page shows it as."""
        if self.control is not None and self.control.kind is not None:
            return self.control.kind
        if self.choices:
            return "choice"
        if get_origin(self.value_type) is list:
            return "texts"
        kinds: dict[Any, Kind] = {bool: "check", int: "number", float: "number", Path: "file"}
        return kinds.get(self.value_type, "text")

    @property
    def range(self) -> str:
        """ "0 to 100 px"; "" where there is no range."""
        return "" if self.limits is None else f"{self.limits} {self.unit}".rstrip()

    def default_for(self, command: Command) -> Any:
        return self.command_defaults.get(command, self.default)

    def checked(self, value: Any, name: str = "") -> Any:
        """Return the value, or the choice that it is an alias of.

        Args:
            name: what has the value, for messages about numbers; the option by default.
        Raises:
            ConfigError: it is out of range or no choice; the message says what is allowed.
        """
        if value is None:
            return None
        if self.limits is not None:
            self.limits.check(name or f"--{self.key}", value, self.unit)
        if self.choices:
            value = self.aliases.get(value, value) if isinstance(value, str) else value
            check_choice(self.key, value, self.choices)
        return value
