"""The control panel of a live run: what its page shows of the run, and what it may change."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vidbg.compositing import BackgroundSpec, CompositingConfig, Compositor
from vidbg.compositing.specs import BlurSpec, ColourSpec, FileSpec, parse_colour
from vidbg.errors import ConfigError, VidbgError
from vidbg.frame import Frame
from vidbg.pipeline.live.look import Look
from vidbg.pipeline.live.preview import Run
from vidbg.pipeline.live.status import LiveStatus
from vidbg.sinks.panel import HOST, serve_panel
from vidbg.sources import open_frames

logger = logging.getLogger(__name__)

THUMBNAIL = 108, 192
"""Height and width of the small pictures of backgrounds, in pixels."""

NUMBERS = ("offset_px", "feather_px", "light_wrap")


class LivePanel:
    """Serves the panel and does what it says; a Preview, and the panel's Control.

    The panel never shows the room: passthrough cannot be chosen there, only ended.

    Args:
        port: to serve at; 0 takes any that is free.
        files: pictures and videos to choose from.
    Raises:
        SinkError: the panel cannot be served.
    """

    smooth = False

    def __init__(self, port: int, files: Sequence[Path]) -> None:
        self._files = [path.resolve() for path in files]
        self._status: LiveStatus | None = None
        self._thumbnails: dict[int, bytes | None] = {}
        self._changing = threading.Lock()
        self.run: Run | None = None
        """Set once there is one."""
        self._service = serve_panel(self, port)
        self.url = f"http://{HOST}:{self._service.port}/"

    @property
    def watches(self) -> bool:
        return self._service.watched

    def show(self, frame: Frame, status: LiveStatus) -> None:
        self._status = status
        if self.watches:
            self._service.offer(frame.image)

    def close(self) -> None:
        self._service.close()

    def state(self) -> dict[str, Any]:
        """`status` and `look`, None before the start, and the names of `backgrounds`."""
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
            "backgrounds": [path.name for path in self._files],
        }

    def change(self, change: Any) -> None:
        """Any of `background`, `mirror`, `fit`, `offset_px`, `feather_px` and `light_wrap`.

        A background is {"kind": "blur", "strength": 0 to 100}, {"kind": "colour", "colour":
        "#rrggbb"} or {"kind": "file", "number": of `backgrounds`}.

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
        if number >= len(self._files):
            return None
        if number not in self._thumbnails:
            self._thumbnails[number] = _thumbnail(self._files[number])
        return self._thumbnails[number]

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
            elif name == "mirror" and isinstance(value, bool):
                mirror = value
            elif name == "fit" and value in ("cover", "fit"):
                compositing = replace(compositing, fit=value)
            elif name in NUMBERS and _is_number(value):
                number: dict[str, Any] = {name: float(value)}
                compositing = replace(compositing, **number)
            else:
                raise ConfigError(f"{name} cannot be {value!r}")
        return Look(compositing, mirror)

    def _background(self, asked: Any) -> BackgroundSpec:
        match asked:
            case {"kind": "blur", "strength": strength} if _is_number(strength):
                if 0 <= strength <= 100:
                    return BlurSpec(float(strength))
            case {"kind": "colour", "colour": str(colour)}:
                return ColourSpec(parse_colour(colour))
            case {"kind": "file", "number": int(number)} if 0 <= number < len(self._files):
                return FileSpec(self._files[number])
        raise ConfigError(f"the panel has no such background: {asked!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _thumbnail(path: Path) -> bytes | None:
    """A JPEG of how the file fills a frame; None where it cannot be read."""
    nothing = Frame(np.zeros((*THUMBNAIL, 3), np.uint8), 0.0, 0)
    try:
        with closing(Compositor(CompositingConfig(FileSpec(path)), open_frames)) as compositor:
            picture = compositor.behind(nothing)
    except VidbgError as error:
        logger.warning("%s", error)
        return None
    return cv2.imencode(".jpg", picture)[1].tobytes()
