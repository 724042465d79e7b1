"""Replace the background behind a person, in real time.

::

    import cv2, vidbg

    with vidbg.VideoMatting() as matting:
        alpha = matting(cv2.imread("me.jpg"))       # float32 (H, W), 1 is the person
    vidbg.process("talk.mp4", "talk_beach.mp4", background="beach.jpg")
    vidbg.run_live(vidbg.LiveConfig(camera="0", background="blur"))  # until Ctrl-C

Errors are `vidbg.VidbgError` and its subclasses in `vidbg.errors`.
"""

from __future__ import annotations

from importlib import import_module

from vidbg.version import __version__

TYPE_CHECKING = False  # importing typing takes 10 ms, in which Ctrl-C prints a traceback
if TYPE_CHECKING:
    from vidbg import errors
    from vidbg.compositing import CompositingConfig, composite, parse_background
    from vidbg.config import MattingConfig
    from vidbg.errors import (
        BackendError,
        ConfigError,
        EngineMismatch,
        SinkError,
        SourceError,
        SourceIncomplete,
        VidbgError,
    )
    from vidbg.frame import Frame
    from vidbg.matting.video_matting import VideoMatting
    from vidbg.picture.picture_config import PictureConfig
    from vidbg.pipeline.files.api import process
    from vidbg.pipeline.files.file_outputs import OutputConfig
    from vidbg.pipeline.live import LiveConfig, LiveReport, LiveRun, LiveStatus, run_live
    from vidbg.sinks.encoding.formats import Encoding

__all__ = [
    "BackendError",
    "CompositingConfig",
    "ConfigError",
    "Encoding",
    "EngineMismatch",
    "Frame",
    "LiveConfig",
    "LiveReport",
    "LiveRun",
    "LiveStatus",
    "MattingConfig",
    "OutputConfig",
    "PictureConfig",
    "SinkError",
    "SourceError",
    "SourceIncomplete",
    "VidbgError",
    "VideoMatting",
    "__version__",
    "composite",
    "errors",
    "parse_background",
    "process",
    "run_live",
]

_HOMES = {
    "BackendError": "vidbg.errors",
    "CompositingConfig": "vidbg.compositing",
    "ConfigError": "vidbg.errors",
    "Encoding": "vidbg.sinks.encoding.formats",
    "EngineMismatch": "vidbg.errors",
    "Frame": "vidbg.frame",
    "LiveConfig": "vidbg.pipeline.live",
    "LiveReport": "vidbg.pipeline.live",
    "LiveRun": "vidbg.pipeline.live",
    "LiveStatus": "vidbg.pipeline.live",
    "VideoMatting": "vidbg.matting.video_matting",
    "MattingConfig": "vidbg.config",
    "OutputConfig": "vidbg.pipeline.files.file_outputs",
    "PictureConfig": "vidbg.picture.picture_config",
    "SinkError": "vidbg.errors",
    "SourceError": "vidbg.errors",
    "SourceIncomplete": "vidbg.errors",
    "VidbgError": "vidbg.errors",
    "composite": "vidbg.compositing",
    "parse_background": "vidbg.compositing",
    "process": "vidbg.pipeline.files.api",
    "run_live": "vidbg.pipeline.live",
}


if not TYPE_CHECKING:  # a type checker is to report names that do not exist

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used, so that `import vidbg` costs nothing."""
        if name == "errors":
            return import_module("vidbg.errors")
        if name in _HOMES:
            return getattr(import_module(_HOMES[name]), name)
        raise AttributeError(f"module 'vidbg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
