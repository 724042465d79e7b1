"""Laying the person over another background."""

from vidbg.compositing.backgrounds import Background, FrameStream, OpenFrames, open_background
from vidbg.compositing.blend import composite
from vidbg.compositing.compositor import CompositingConfig, Compositor
from vidbg.compositing.edges import adjust_alpha
from vidbg.compositing.foreground import composite_foreground, estimate_foreground
from vidbg.compositing.specs import BackgroundSpec, parse_background

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
