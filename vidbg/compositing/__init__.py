"""Compositing: blend the person over another background."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidbg.compositing.backgrounds import (
        Background,
        BackgroundSpec,
        FrameStream,
        OpenFrames,
        open_background,
        parse_background,
    )
    from vidbg.compositing.blend import composite
    from vidbg.compositing.compositor import CompositingConfig, Compositor
    from vidbg.compositing.edges import adjust_alpha
    from vidbg.compositing.foreground import composite_foreground, estimate_foreground

__all__ = [
    "Background",
    "BackgroundSpec",
    "CompositingConfig",
    "Compositor",
    "FrameStream",
    "OpenFrames",
    "adjust_alpha",
    "composite",
    "composite_foreground",
    "estimate_foreground",
    "open_background",
    "parse_background",
]

_MODULES = {
    "CompositingConfig": "compositor",
    "Compositor": "compositor",
    "adjust_alpha": "edges",
    "composite": "blend",
    "composite_foreground": "foreground",
    "estimate_foreground": "foreground",
}
"""Modules of the names that need NumPy and OpenCV; the other names are in `backgrounds`."""


def __getattr__(name: str) -> object:
    """Import a public name on first use: help text needs `backgrounds`, but not OpenCV."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'backgrounds')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
