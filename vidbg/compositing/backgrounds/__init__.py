"""Backgrounds: the table of their kinds, and what reads, checks and opens them.

`BackgroundSpec` in base.py is the interface of a kind and says how to add one.
"""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from vidbg.compositing.backgrounds.base import (
    Background,
    BackgroundSpec,
    Bgr,
    FrameStream,
    OpenFrames,
    OpenOptions,
    PanelSetting,
)
from vidbg.compositing.backgrounds.blur import BlurSpec
from vidbg.compositing.backgrounds.bokeh import BokehSpec
from vidbg.compositing.backgrounds.colour import ColourSpec
from vidbg.compositing.backgrounds.file import FileSpec
from vidbg.compositing.backgrounds.passthrough import PassthroughSpec
from vidbg.compositing.backgrounds.scene import SceneSpec
from vidbg.compositing.backgrounds.slides import SlidesSpec
from vidbg.compositing.backgrounds.transparent import TransparentSpec
from vidbg.errors import ConfigError
from vidbg.util.choices import closest, similar_file
from vidbg.util.paths import MISSING

if TYPE_CHECKING:
    from vidbg.compositing.scaling import Fit

__all__ = [
    "BACKGROUNDS",
    "Background",
    "BackgroundSpec",
    "Bgr",
    "BlurSpec",
    "BokehSpec",
    "ColourSpec",
    "FileSpec",
    "FrameStream",
    "OpenFrames",
    "OpenOptions",
    "PanelSetting",
    "PassthroughSpec",
    "SceneSpec",
    "SlidesSpec",
    "TransparentSpec",
    "background_usage",
    "check_background",
    "open_background",
    "parse_background",
]

BACKGROUNDS: dict[str, type[BackgroundSpec]] = {
    kind.name: kind
    for kind in (
        BlurSpec,
        BokehSpec,
        ColourSpec,
        TransparentSpec,
        PassthroughSpec,
        SceneSpec,
        SlidesSpec,
        FileSpec,  # the last, because it reads any text as a path
    )
}
"""Every kind of background by name, in the order in which they try to parse a text."""


def background_usage(*, live: bool = False) -> str:
    """List the backgrounds, for help text and errors.

    Args:
        live: leave out those that a live output cannot show.
    """
    kinds = BACKGROUNDS.values()
    return "; ".join(kind.usage for kind in kinds if not (live and kind.transparent))


def parse_background(spec: str | os.PathLike[str]) -> BackgroundSpec:
    """Read what the user wrote after `--background`; a path object always means a file.

    A text that no other kind knows is a path, and `./green` is a file named like a kind. Whether a
    file can be read is checked by `check_background` and `open_background`.

    Raises:
        ConfigError: it is empty, is not text, or has a value that cannot be used.
    """
    if isinstance(spec, os.PathLike):
        return FileSpec(Path(spec).expanduser())
    if not isinstance(spec, str):
        raise ConfigError(f"the background is {spec!r}; allowed are {background_usage()}")
    if not spec.strip():
        raise ConfigError(f"no background given; allowed are {background_usage()}")
    parsed = (kind.parse(spec) for kind in BACKGROUNDS.values())
    return next(background for background in parsed if background is not None)


def check_background(spec: BackgroundSpec, *, live: bool = False) -> None:
    """Refuse a background whose file or folder cannot be used, without reading it.

    Args:
        live: name only those that a live output can show as allowed.
    Raises:
        ConfigError: it is missing, empty, or a folder in place of a file.
    """
    unreadable = spec.problem()
    if unreadable is None:
        return
    path, problem = unreadable
    hint = ""
    if problem == MISSING:  # was a kind of background meant, a file nearby, or something like it?
        kinds = BACKGROUNDS.values()
        meant = next((name for kind in kinds if (name := kind.suggest(path.name))), None)
        meant = meant or similar_file(path)
        meant = meant or closest(path.name, chain.from_iterable(kind.examples for kind in kinds))
        hint = f" did you mean {meant!r}?" if meant else ""
    raise ConfigError(
        f"background {str(path)!r} {problem};{hint} allowed are {background_usage(live=live)}"
    )


def open_background(
    spec: BackgroundSpec,
    *,
    fit: Fit = "cover",
    bars: Bgr = (0, 0, 0),
    open_frames: OpenFrames,
) -> Background | None:
    """Open the background that the user asked for; None if there is no image behind the person.

    Raises:
        ConfigError: its file is missing, empty, a folder, or neither image nor video.
    """
    check_background(spec)
    return spec.open(OpenOptions(fit, bars, open_frames))
