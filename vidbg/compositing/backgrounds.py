"""What stands behind the person: a picture, a moving picture, the blurred room, a colour."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vidbg.compositing.blur import blur_background
from vidbg.compositing.scaling import Fit, fill
from vidbg.compositing.specs import (
    ALLOWED,
    Bgr,
    BlurSpec,
    ColourSpec,
    FileSpec,
    meant_background,
)
from vidbg.errors import ConfigError, SourceError
from vidbg.frame import Alpha, Frame, Image
from vidbg.paths import exists, is_folder


class Background(Protocol):
    """Gives the picture behind each frame."""

    def at(self, frame: Frame, alpha: Alpha) -> Image:
        """uint8 (H, W, 3) BGR at the frame's size, for its pts; not to be written to."""
        ...

    def close(self) -> None:
        """Release files; may be called more than once."""
        ...


class FrameStream(Protocol):
    """What a moving background needs of a source: its frames in order, and an end."""

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...


OpenFrames = Callable[[Path], FrameStream]
"""Opens a video or GIF from its start; raises SourceError where it cannot."""


def open_background(
    spec: FileSpec | BlurSpec | ColourSpec,
    *,
    fit: Fit = "cover",
    bars: Bgr = (0, 0, 0),
    open_frames: OpenFrames,
) -> Background:
    """Make a background from what the user asked for.

    Raises:
        ConfigError: the file is missing, empty, a folder, or neither picture nor video.
    """
    match spec:
        case ColourSpec(bgr):
            return Solid(bgr)
        case BlurSpec(strength):
            return Blurred(strength)
    check_file(spec.path)
    picture = None if spec.path.suffix.lower() == ".gif" else _read_picture(spec.path, bars)
    if picture is not None:
        return Still(picture, fit, bars)
    try:
        return Moving(lambda: open_frames(spec.path), fit, bars)
    except SourceError as error:
        raise ConfigError(
            f"background {str(spec.path)!r} can be read as neither picture nor video: {error}"
        ) from error


def check_file(path: Path) -> None:
    """Refuse a background's path without reading the file.

    Raises:
        ConfigError: it is missing, empty or a folder.
    """
    meant = None
    if is_folder(path):
        reason = "is a folder"
    elif not exists(path):
        reason, meant = "does not exist", meant_background(path)
    elif path.stat().st_size == 0:
        reason = "is empty"
    else:
        return
    hint = f" did you mean {meant!r}?" if meant else ""
    raise ConfigError(f"background {str(path)!r} {reason};{hint} {ALLOWED}")


def _read_picture(path: Path, behind: Bgr) -> Image | None:
    """Read an upright BGR picture, transparent parts filled; None where it is no picture."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise ConfigError(f"background {str(path)!r} cannot be read: {error.strerror}") from error
    upright = cv2.imdecode(data, cv2.IMREAD_COLOR)  # turned as its EXIF says
    if upright is None:
        return None
    stored = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
    if stored.ndim == 3 and stored.shape[2] == 4 and stored.dtype in (np.uint8, np.uint16):
        return _flatten(stored, behind)
    return np.asarray(upright, np.uint8)


def _flatten(bgra: NDArray[Any], behind: Bgr) -> Image:
    whole = np.iinfo(bgra.dtype).max
    alpha = bgra[..., 3:] / whole
    mixed = alpha * (bgra[..., :3] * (255 / whole)) + (1 - alpha) * np.array(behind)
    return np.asarray(np.rint(mixed), np.uint8)


class Solid:
    """One colour."""

    def __init__(self, bgr: Bgr) -> None:
        self._bgr = bgr
        self._picture: Image = np.empty((0, 0, 3), np.uint8)

    def at(self, frame: Frame, _alpha: Alpha) -> Image:
        if self._picture.shape != frame.image.shape:
            self._picture = np.full(frame.image.shape, self._bgr, np.uint8)
        return self._picture

    def close(self) -> None:
        """Nothing to release."""


class Blurred:
    """The room behind the person, out of focus."""

    def __init__(self, strength: float) -> None:
        self._strength = strength

    def at(self, frame: Frame, alpha: Alpha) -> Image:
        return blur_background(frame.image, alpha, self._strength)

    def close(self) -> None:
        """Nothing to release."""


class Still:
    """A picture, kept at the size of the last frame."""

    def __init__(self, picture: Image, fit: Fit, bars: Bgr) -> None:
        self._picture = picture
        self._fit: Fit = fit
        self._bars = bars
        self._filled: Image = np.empty((0, 0, 3), np.uint8)

    def at(self, frame: Frame, _alpha: Alpha) -> Image:
        if self._filled.shape != frame.image.shape:
            size = frame.height, frame.width
            self._filled = fill(self._picture, *size, self._fit, self._bars)
        return self._filled

    def close(self) -> None:
        """Nothing to release."""


class Moving:
    """A video or GIF, read as its time comes and begun anew at its end.

    Only the frame shown and the one after it are held. The first frame asked for shows the
    beginning; a jump forward skips frames, a jump back reads from the beginning. While the last
    frame is shown the file is opened again by a thread, for that takes longer than a frame.
    """

    def __init__(self, open_stream: Callable[[], FrameStream], fit: Fit, bars: Bgr) -> None:
        self._open_stream = open_stream
        self._fit: Fit = fit
        self._bars = bars
        self._start_s: float | None = None
        self._length_s: float | None = None
        self._opener = ThreadPoolExecutor(1, "vidbg-background")
        self._ahead: Future[Beginning] | None = None
        self._rewind()

    def at(self, frame: Frame, alpha: Alpha) -> Image:
        if self._start_s is None or frame.pts < self._start_s:
            self._start_s = frame.pts
        self._seek(frame.pts - self._start_s)
        return self._still.at(frame, alpha)

    def close(self) -> None:
        self._stream.close()
        ahead, self._ahead = self._ahead, None
        if ahead is not None and not ahead.cancel():
            ahead.add_done_callback(_close_beginning)
        self._opener.shutdown(wait=False)

    def _seek(self, elapsed_s: float) -> None:
        position_s = elapsed_s % (self._length_s or math.inf)
        if position_s < self._shown_s:
            self._stream.close()
            self._rewind()
        shown = None
        while self._next is not None and self._next.pts - self._first_s <= position_s:
            shown = self._step(self._next)
        if shown is not None:
            self._still = Still(shown.image, self._fit, self._bars)
        if self._next is None and position_s >= (self._length_s or math.inf):
            self._seek(elapsed_s)

    def _step(self, frame: Frame) -> Frame:
        """Show the next frame; at the end learn the length, the last frame as long as its elder."""
        interval_s = frame.pts - self._first_s - self._shown_s
        self._shown_s += interval_s
        self._next = next(self._frames, None)
        if self._next is None:
            self._length_s = self._shown_s + interval_s or math.inf
            if math.isfinite(self._length_s):
                self._ahead = self._opener.submit(_begin, self._open_stream)
        return frame

    def _rewind(self) -> None:
        ahead, self._ahead = self._ahead, None
        self._stream, self._frames, first = (
            _begin(self._open_stream) if ahead is None else ahead.result()
        )
        self._first_s, self._shown_s = first.pts, 0.0
        self._still = Still(self._step(first).image, self._fit, self._bars)


Beginning = tuple[FrameStream, Iterator[Frame], Frame]
"""A stream just opened, its frames from the second on, and the first."""


def _begin(open_stream: Callable[[], FrameStream]) -> Beginning:
    stream = open_stream()
    frames = iter(stream)
    first = next(frames, None)
    if first is None:
        stream.close()
        raise SourceError("it holds no frames")
    return stream, frames, first


def _close_beginning(ahead: Future[Beginning]) -> None:
    if ahead.exception() is None:
        ahead.result()[0].close()
