"""vidbg: another background behind a person, in real time.

::

    import cv2, vidbg

    with vidbg.Matter() as matter:
        alpha = matter(cv2.imread("me.jpg"))        # float32 (H, W), 1 is the person
    vidbg.process("talk.mp4", "talk_beach.mp4", background="beach.jpg")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidbg.compositing import composite
    from vidbg.frame import Frame
    from vidbg.matting.matter import Matter
    from vidbg.pipeline.api import process

__version__ = "0.1.0"

__all__ = ["Frame", "Matter", "__version__", "composite", "process"]

_HOMES = {
    "Frame": "vidbg.frame",
    "Matter": "vidbg.matting.matter",
    "composite": "vidbg.compositing",
    "process": "vidbg.pipeline.api",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that `import vidbg` costs nothing."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'vidbg' has no attribute {name!r}")
