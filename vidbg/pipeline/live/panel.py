"""The control panel of a live run: what its page shows of the run, and what it may change."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vidbg.compositing import BackgroundSpec, CompositingConfig
from vidbg.compositing.specs import (
    MAX_BLUR,
    MIN_BLUR,
    BlurSpec,
    ColourSpec,
    FileSpec,
    parse_colour,
)
from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Frame
from vidbg.option import Option
from vidbg.option_table import PANEL_OPTIONS
from vidbg.pipeline.live.look import Look
from vidbg.pipeline.live.preview import Run
from vidbg.pipeline.live.status import LiveStatus
from vidbg.sinks.panel import serve_panel

CONTROLS = {option.config_field: option for option in PANEL_OPTIONS}
"""What the page has a control for beside the background, by the field that it changes."""


class LivePanel:
    """Serves the panel and does what it says; a Preview, and the panel's Control.

    The panel never shows the room: passthrough cannot be chosen there, only ended.

    Args:
        port: to serve at; 0 takes any that is free.
        files: pictures and videos to choose from.
    Attributes:
        url: the page's address, with the token that opens it: a secret.
    Raises:
        SinkError: the panel cannot be served.
    """

    smooth = False

    def __init__(self, port: int, files: Sequence[Path]) -> None:
        try:
            from vidbg.pipeline.live.thumbnails import thumbnail
        except ImportError as error:
            raise SinkError(f"the panel needs Pillow ({error}): pip install '.[web]'") from None
        self._thumbnail = thumbnail
        self._files = [path.resolve() for path in files]
        self._status: LiveStatus | None = None
        self._changing = threading.Lock()
        self._run: Run | None = None
        self._at_start: dict[str, Any] | None = None
        self._service = serve_panel(self, port)
        self.url = self._service.url

    @property
    def run(self) -> Run | None:
        """What the panel changes; set once there is one."""
        return self._run

    @run.setter
    def run(self, run: Run) -> None:
        self._run, self._at_start = run, self._look_state(run.look)

    @property
    def watches(self) -> bool:
        return self._service.watched

    def show(self, frame: Frame, status: LiveStatus) -> None:
        self._status = status
        self._service.offer(frame.image)

    def close(self) -> None:
        self._service.close()

    def state(self) -> dict[str, Any]:
        """Return how the run is going, how it looks, and what there is to choose from.

        `status` and `look` are None before the start, as is `at_start`, the first look; `controls`
        describes what else than the background can be changed, `strength` is the range of blur,
        `backgrounds` has the files' names.
        """
        status, run = self._status, self.run
        return {
            "status": None
            if status is None
            else {
                **asdict(status),
                "state": status.state.value,
                "words": status.state.words,
            },
            "look": None if run is None else self._look_state(run.look),
            "at_start": self._at_start,
            "controls": [_described(name, option) for name, option in CONTROLS.items()],
            "strength": (MIN_BLUR, MAX_BLUR),
            "backgrounds": [path.name for path in self._files],
        }

    def change(self, change: Any) -> None:
        """Change any of `background`, `strength`, `colour` and the fields in CONTROLS.

        A background is {"kind": "blur", "strength": 20 to 100}, {"kind": "colour", "colour":
        "#rrggbb"} or {"kind": "file", "number": of `backgrounds`}. `strength` and `colour` alone
        change the blur or colour that is shown, and nothing else.

        Raises:
            ConfigError: it is none of these, or cannot be read; all stays as it was.
        """
        if self.run is None:
            raise ConfigError("the run has not begun yet")
        if not isinstance(change, Mapping):
            raise ConfigError("a change names what is to be changed")
        with self._changing:
            self.run.change(self._changed(self.run.look, change))

    def thumbnail(self, number: int) -> bytes | None:
        """See `thumbnails`; one call at a time."""
        return self._thumbnail(self._files[number]) if number < len(self._files) else None

    def _look_state(self, look: Look) -> dict[str, Any]:
        return {
            "background": self._background_state(look.compositing.background),
            **{name: getattr(_part(look, option), name) for name, option in CONTROLS.items()},
        }

    def _background_state(self, background: BackgroundSpec) -> dict[str, Any]:
        match background:
            case BlurSpec(strength):
                return {"kind": "blur", "strength": strength}
            case ColourSpec((blue, green, red)):
                return {"kind": "colour", "colour": f"#{red:02x}{green:02x}{blue:02x}"}
            case FileSpec(path):
                whole = path.resolve()
                number = self._files.index(whole) if whole in self._files else None
                return {"kind": "file", "number": number, "name": path.name}
        return {"kind": "room"}

    def _changed(self, look: Look, change: Mapping[str, Any]) -> Look:
        for name, value in change.items():
            fields: dict[str, Any]
            if name in CONTROLS:
                option = CONTROLS[name]
                fields = {name: _value(name, option, value)}
                if isinstance(_part(look, option), Look):
                    look = replace(look, **fields)
                    continue
            elif name == "background":
                fields = {"background": self._background(value)}
            elif name in ("strength", "colour"):
                fields = {"background": _adjusted(look.compositing.background, name, value)}
            else:
                raise ConfigError(f"{name} cannot be {value!r}: the panel does not change it")
            look = replace(look, compositing=replace(look.compositing, **fields))
        return look

    def _background(self, asked: Any) -> BackgroundSpec:
        match asked:
            case {"kind": "blur", "strength": strength}:
                return BlurSpec(_number("strength", strength))
            case {"kind": "colour", "colour": str(colour)}:
                return ColourSpec(parse_colour(colour))
            case {"kind": "file", "number": int(number)} if not isinstance(number, bool):
                if 0 <= number < len(self._files):
                    return FileSpec(self._files[number])
        raise ConfigError(f"the panel has no such background: {asked!r}")


def _part(look: Look, option: Option[Any]) -> Look | CompositingConfig:
    """Return the part of the look that has the option's field."""
    return look.compositing if option.target == "compositing" else look


def _described(name: str, option: Option[Any]) -> dict[str, Any]:
    """Describe a control to the page."""
    control = option.control
    if control is None:
        raise ValueError(f"the option {option.name} has no control")
    described = {"name": name, "section": control.section, "label": control.label}
    if option.limits is None:
        return {**described, "kind": "check", "on": control.on, "off": control.off}
    number = {"range": option.limits, "step": control.step, "unit": option.unit}
    return {**described, "kind": "number", **number}


def _value(name: str, option: Option[Any], value: Any) -> Any:
    """Convert what the page sent to the option's type; the config checks range and choices.

    Raises:
        ConfigError: it is of another type.
    """
    if option.limits is not None:
        return _number(name, value)
    expected = bool if option.value_type is bool else str
    if not isinstance(value, expected):
        raise ConfigError(f"{name} cannot be {value!r}")
    return value


def _adjusted(background: BackgroundSpec, name: str, value: Any) -> BackgroundSpec:
    """Change the blur or colour that is shown.

    Raises:
        ConfigError: something else is shown, or the value cannot be.
    """
    if name == "strength" and isinstance(background, BlurSpec):
        return BlurSpec(_number(name, value))
    if name == "colour" and isinstance(background, ColourSpec):
        return ColourSpec(parse_colour(str(value)))
    kind = "blur" if name == "strength" else "a colour"
    raise ConfigError(f"{name} changes nothing: the background is not {kind}; choose that first")


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name} cannot be {value!r}; give a number")
    try:
        return float(value)
    except OverflowError:
        raise ConfigError(f"{name} is far out of its range") from None
