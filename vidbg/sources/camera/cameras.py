"""Sources for `vidbg run --camera`: a camera, file, network stream, sample or synthetic person."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vidbg.errors import ConfigError, SourceError
from vidbg.frame import StreamInfo
from vidbg.sources import Source, open_frames
from vidbg.sources.camera.camera_mode import PixelFormat
from vidbg.util.choices import refusal, similar_file, suggestion
from vidbg.util.paths import exists, is_file, is_folder
from vidbg.util.urls import public_name

if TYPE_CHECKING:
    from vidbg.sources.camera.played_file import OpenClip

SYNTHETIC = "synthetic"
SAMPLE = "sample"

_VIDEO_MAJOR = 81
"""Number of Linux's video devices."""

STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "tcp", "rtp", "rtmp", "rtmps")


def camera_source(name: str, asked: StreamInfo, pixel_format: PixelFormat) -> Callable[[], Source]:
    """Return a function that opens the named source, the same one each time.

    Args:
        name: a camera's number, path, name or a part of it; the path of a video or picture, which
            is looped; a stream's URL; "sample" or "synthetic".
        asked: size and rate to request, which a camera may not support.
        pixel_format: pixel format to request from a camera.
    Raises:
        ConfigError: it is none of these; from the returned function: the file is not a video.
    """
    rate = asked.frame_rate or Fraction(30)
    if name == SYNTHETIC:
        from vidbg.sources.synthetic import SyntheticSource

        return lambda: SyntheticSource(asked.width, asked.height, rate, live=True)
    if name == SAMPLE:
        from vidbg.sources.sample import SampleSource

        return _played("the sample clip", lambda **_: SampleSource(), rate)
    if "://" in name:
        scheme = name.partition("://")[0]
        if scheme not in STREAM_SCHEMES:
            raise ConfigError(refusal("kind of stream", scheme, STREAM_SCHEMES))
        if scheme != "udp" and not public_name(name).partition("://")[2]:
            raise ConfigError(f"the camera's address {scheme}:// names no host")
        from vidbg.sources.camera.network_camera import open_stream

        return lambda: open_stream(name, rate)
    if is_file(Path(name).expanduser()):
        path = Path(name).expanduser()
        return _played("the file", partial(open_frames, path), rate)
    _refuse_nonsense(name)
    from vidbg.sources.camera.remembered_camera import RememberedCamera

    choice = RememberedCamera(name)
    return lambda: choice.open(
        width=asked.width, height=asked.height, frame_rate=rate, pixel_format=pixel_format
    )


def camera_device(name: str) -> str | None:
    """Return the device that only one source can have open; None for files and streams.

    That is a camera's node or number, whichever of its names is given, or the name itself if there
    is no such camera.
    """
    if name in (SYNTHETIC, SAMPLE) or "://" in name or is_file(Path(name).expanduser()):
        return None
    if sys.platform != "linux":
        return name
    from vidbg.sources.camera.camera_source import list_cameras
    from vidbg.sources.camera.remembered_camera import find_camera

    try:
        return find_camera(name, list_cameras()).device
    except SourceError:
        return name


def camera_name(name: str) -> str:
    """Return a camera's name for messages: for a URL, the part that is not secret."""
    return public_name(name) if "://" in name else name


def _played(what: str, open_clip: OpenClip, rate: Fraction) -> Callable[[], Source]:
    """Return a function that plays a clip in a loop.

    A clip that cannot be played is a ConfigError the first time, and a SourceError later.
    """
    from vidbg.sources.camera.played_file import PlayedSource

    opened = False

    def open_again() -> Source:
        nonlocal opened
        try:
            source = PlayedSource(open_clip, rate, again=opened)
        except SourceError as error:
            if opened:
                raise
            raise ConfigError(f"{what} cannot be the camera: {error}") from error
        opened = True
        return source

    return open_again


def _refuse_nonsense(name: str) -> None:
    """Refuse a name that no camera can have, because a run would wait for it forever."""
    if not name.strip() or name == "-" or re.fullmatch(r"-\d+", name):
        raise ConfigError(
            f"there is no camera {name!r}; give a number from 0, a path, a name or a part of it, "
            "a file or a stream's URL (`vidbg devices` lists the cameras)"
        )
    path = Path(name).expanduser()
    if is_folder(path):
        raise ConfigError(f"camera {name!r} is a folder; give a video or a picture in it")
    try:
        status = path.stat()
        mode, device = status.st_mode, status.st_rdev
    except (OSError, ValueError):  # it may be a name, or a camera that is plugged in later
        mode = device = 0
    camera = stat.S_ISCHR(mode) and (sys.platform != "linux" or os.major(device) == _VIDEO_MAJOR)
    if mode and not camera:
        raise ConfigError(
            f"{name!r} is not a camera but another kind of device or a pipe; give a camera "
            "(`vidbg devices` lists them), a file or a stream's URL"
        )
    is_node = name.startswith("/dev/") or (sys.platform == "linux" and exists(name))
    like_file = "/" in name or "\\" in name or re.fullmatch(r".+\.[a-zA-Z0-9]{2,4}", name)
    if like_file and not is_node:
        similar = similar_file(path)
        hint = f"; did you mean {similar!r}?" if similar else ""
        raise ConfigError(f"the file {name!r} for the camera does not exist{hint}")
    if sys.platform != "linux" and not name.isdecimal():
        raise ConfigError(
            f"there is no camera {name!r};{suggestion(name, [SYNTHETIC, SAMPLE])} give its number, "
            "0 for the first (`vidbg devices` lists the cameras), a file or a stream's URL"
        )
