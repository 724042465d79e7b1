"""The control panel of a live run: what its page shows of the run, and what it may change."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vidbg.compositing import BackgroundSpec
from vidbg.compositing.compositor import LIMITS
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
from vidbg.pipeline.live.look import Look
from vidbg.pipeline.live.preview import Run
from vidbg.pipeline.live.status import LiveStatus
from vidbg.sinks.panel import serve_panel

NUMBERS = ("offset_px", "feather_px", "light_wrap")


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
        self._run, self._at_start = run, self._told(run.look)

    @property
    def watches(self) -> bool:
        return self._service.watched

    def show(self, frame: Frame, status: LiveStatus) -> None:
        self._status = status
        self._service.offer(frame.image)

    def close(self) -> None:
        self._service.close()

    def state(self) -> dict[str, Any]:
        """How it goes and looks, and what there is to choose from.

        `status` and `look` are None before the start, as is `at_start`, the first look; `limits`
        has the least and the greatest of each number, `backgrounds` the files' names.
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
            "look": None if run is None else self._told(run.look),
            "at_start": self._at_start,
            "limits": {
                "strength": (MIN_BLUR, MAX_BLUR),
                **{name: LIMITS[name] for name in NUMBERS},
            },
            "backgrounds": [path.name for path in self._files],
        }

    def change(self, change: Any) -> None:
        """Any of `background`, `strength`, `colour`, `mirror`, `fit` and the NUMBERS.

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

    def _told(self, look: Look) -> dict[str, Any]:
        compositing = look.compositing
        return {
            "background": self._background_told(compositing.background),
            "mirror": look.mirror,
            "fit": compositing.fit,
            **{name: getattr(compositing, name) for name in NUMBERS},
        }

    def _background_told(self, background: BackgroundSpec) -> dict[str, Any]:
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
        compositing, mirror = look.compositing, look.mirror
        for name, value in change.items():
            if name == "background":
                compositing = replace(compositing, background=self._background(value))
            elif name in ("strength", "colour"):
                background = _adjusted(compositing.background, name, value)
                compositing = replace(compositing, background=background)
            elif name == "mirror" and isinstance(value, bool):
                mirror = value
            elif name == "fit" and value in ("cover", "fit"):
                compositing = replace(compositing, fit=value)
            elif name in NUMBERS:
                number: dict[str, Any] = {name: _number(name, value)}
                compositing = replace(compositing, **number)
            else:
                raise ConfigError(f"{name} cannot be {value!r}")
        return Look(compositing, mirror)

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


def _adjusted(background: BackgroundSpec, name: str, value: Any) -> BackgroundSpec:
    """The blur or colour that is shown, changed.

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
