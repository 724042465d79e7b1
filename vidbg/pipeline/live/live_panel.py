"""The control panel of a live run: its state and the settings it can change."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vidbg.compositing import CompositingConfig
from vidbg.compositing.backgrounds import BACKGROUNDS, BackgroundSpec, FileSpec, PanelSetting
from vidbg.errors import ConfigError, SinkError
from vidbg.frame import Frame
from vidbg.option import Option
from vidbg.option_table import PANEL_OPTIONS
from vidbg.picture.picture_config import PictureConfig
from vidbg.pipeline.live.appearance import Appearance
from vidbg.pipeline.live.live_preview import Run
from vidbg.pipeline.live.status import LiveStatus
from vidbg.sinks.web.panel_preview import serve_panel

CONTROLS = {option.config_field: option for option in PANEL_OPTIONS}
"""Options with a control on the page, except the background, by config field."""

KINDS = {name: kind for name, kind in BACKGROUNDS.items() if kind.panel_label}
"""The kinds of background that have a button on the panel."""

SETTINGS = {kind.panel_setting.name: kind for kind in KINDS.values() if kind.panel_setting}
"""The background kind that each setting belongs to, such as blur for "strength"."""


class LivePanel:
    """Serves the panel and applies its changes; implements Preview and the panel's Control.

    The panel never shows the room: it can turn passthrough off but not on.

    Args:
        port: to serve at; 0 takes any that is free.
        files: images and videos to choose from.
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
        """The run that the panel controls, once it is set."""
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
        """Return the status of the run, its look, and the available choices.

        `status` and `look` are None before the start, as is `at_start`, the first look; `controls`
        describes the settings other than the background, `kinds` the kinds of background that
        have a button, and `backgrounds` has the files' names.
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
            "kinds": [
                {
                    "kind": kind.name,
                    "label": kind.panel_label,
                    "setting": kind.panel_setting and asdict(kind.panel_setting),
                }
                for kind in KINDS.values()
            ],
            "backgrounds": [path.name for path in self._files],
        }

    def change(self, change: Any) -> None:
        """Change any of `background`, the SETTINGS and the fields in CONTROLS.

        A background is {"kind": "file", "number": of `backgrounds`}, or one of the KINDS with its
        setting, such as {"kind": "blur", "strength": 20 to 100}. A setting alone changes the
        background that is shown if it is of that kind, and is refused otherwise.

        Raises:
            ConfigError: it is none of these, or cannot be read; nothing is changed.
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

    def _look_state(self, look: Appearance) -> dict[str, Any]:
        return {
            "background": self._background_state(look.compositing.background),
            **{name: getattr(_part(look, option), name) for name, option in CONTROLS.items()},
        }

    def _background_state(self, background: BackgroundSpec) -> dict[str, Any]:
        if background.shows_room:
            return {"kind": "room"}
        state: dict[str, Any] = {"kind": background.name}
        if background.files:
            path = background.files[0].resolve()
            state["number"] = self._files.index(path) if path in self._files else None
            state["name"] = path.name
        setting = background.panel_setting
        if setting is not None:
            value = str(background).partition(":")[2]
            state[setting.name] = float(value) if setting.limits else value
        return state

    def _changed(self, look: Appearance, change: Mapping[str, Any]) -> Appearance:
        for name, value in change.items():
            fields: dict[str, Any]
            if name in CONTROLS:
                option = CONTROLS[name]
                fields = {name: _value(name, option, value)}
                part = _part(look, option)
                if isinstance(part, PictureConfig):
                    fields = {"picture": replace(part, **fields)}
                if not isinstance(part, CompositingConfig):
                    look = replace(look, **fields)
                    continue
            elif name == "background":
                fields = {"background": self._background(value)}
            elif name in SETTINGS:
                fields = {"background": _adjusted(look.compositing.background, name, value)}
            else:
                raise ConfigError(f"{name} cannot be {value!r}: the panel does not change it")
            look = replace(look, compositing=replace(look.compositing, **fields))
        return look

    def _background(self, asked: Any) -> BackgroundSpec:
        match asked:
            case {"kind": "file", "number": int(number)} if not isinstance(number, bool):
                if 0 <= number < len(self._files):
                    return FileSpec(self._files[number])
            case {"kind": str(name)} if name in KINDS:
                kind = KINDS[name]
                if kind.panel_setting is None:
                    return _parsed(kind, name)
                if kind.panel_setting.name in asked:
                    return _with_setting(kind, kind.panel_setting, asked[kind.panel_setting.name])
        raise ConfigError(f"the panel has no such background: {asked!r}")


def _part(look: Appearance, option: Option[Any]) -> Appearance | CompositingConfig | PictureConfig:
    """Return the part of the look that has the option's field."""
    if option.target == "compositing":
        return look.compositing
    return look.picture if option.target == "picture" else look


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
    """Convert a value from the page to the option's type; the config checks range and choices.

    Raises:
        ConfigError: the value has the wrong type.
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
        ConfigError: it has no such setting, or the value cannot be used.
    """
    setting = background.panel_setting
    if setting is None or setting.name != name:
        kind = SETTINGS[name].name
        raise ConfigError(
            f"{name} changes nothing: the background is not {kind}; choose that first"
        )
    return _with_setting(type(background), setting, value)


def _with_setting(kind: type[BackgroundSpec], setting: PanelSetting, value: Any) -> BackgroundSpec:
    number = setting.limits is not None
    text = f"{_number(setting.name, value):.12g}" if number else str(value)
    return _parsed(kind, f"{kind.name}:{text}")


def _parsed(kind: type[BackgroundSpec], text: str) -> BackgroundSpec:
    background = kind.parse(text)
    if background is None:
        raise ConfigError(f"{text!r} is not a background of the kind {kind.name}")
    return background


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name} cannot be {value!r}; give a number")
    try:
        return float(value)
    except OverflowError:
        raise ConfigError(f"{name} is far out of its range") from None
