"""What stands behind the person: a picture, a moving picture, the blurred room, a colour."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from vidbg.compositing.blend import flatten
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
from vidbg.paths import exists, has_long_name, is_folder
from vidbg.pictures import Picture, is_animated, read_picture

log = logging.getLogger(__name__)

_ROUNDING_S = 0.0005  # Matroska counts in milliseconds


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


class OpenFrames(Protocol):
    """Opens a video or GIF from its start; raises SourceError where it cannot."""

    def __call__(self, path: Path, /, *, again: bool = False) -> FrameStream:
        """`again`: it was read before, so what is odd about it was told."""
        ...


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
    picture = _read_still(spec.path, bars)
    if picture is not None:
        return Still(picture.image, fit, bars, picture.pixel_aspect)
    try:
        return Moving(partial(open_frames, spec.path), fit, bars, str(spec.path))
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
    elif has_long_name(path):
        reason = "has a name that is too long for any file here"
    elif not exists(path):
        reason, meant = "does not exist", meant_background(path)
    elif path.stat().st_size == 0:
        reason = "is empty"
    else:
        return
    hint = f" did you mean {meant!r}?" if meant else ""
    raise ConfigError(f"background {str(path)!r} {reason};{hint} {ALLOWED}")


def _read_still(path: Path, behind: Bgr) -> Picture | None:
    """Read a picture, transparent parts filled; None where it moves or is no picture."""
    if path.suffix.lower() == ".gif" or is_animated(path):
        return None
    try:
        picture = read_picture(path)
    except SourceError as error:
        raise ConfigError(f"background {str(path)!r} cannot be used: {error}") from error
    return picture and replace(picture, image=flatten(picture.image, picture.alpha, behind))


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
    """A picture, kept at the size of the last frame.

    Args:
        pixel_aspect: width of one of the picture's pixels over its height.
    """

    def __init__(
        self, picture: Image, fit: Fit, bars: Bgr, pixel_aspect: Fraction = Fraction(1)
    ) -> None:
        self._picture = picture
        self._fit: Fit = fit
        self._bars = bars
        self._pixel_aspect = pixel_aspect
        self._filled: Image = np.empty((0, 0, 3), np.uint8)
        self._filled_for: tuple[int, int, Fraction] | None = None

    def at(self, frame: Frame, _alpha: Alpha) -> Image:
        wanted = frame.height, frame.width, frame.pixel_aspect
        if self._filled_for != wanted:
            aspect = float(self._pixel_aspect / frame.pixel_aspect)
            self._filled = fill(self._picture, *wanted[:2], self._fit, self._bars, aspect)
            self._filled_for = wanted
        return self._filled

    def close(self) -> None:
        """Nothing to release."""


class Moving:
    """A video or GIF, read as its time comes and begun anew at its end.

    Only the frame shown and the one after it are held. The first frame asked for shows the
    beginning; a jump forward skips frames, a jump back reads from the beginning. While the last
    frame is shown the file is opened again by a thread, for that takes longer than a frame.

    What is wrong with the file does not end the run: where it breaks off or is damaged, what could
    be read is looped; where it cannot be opened again, the last frame stays. Either is logged once.

    Args:
        open_stream: opens it from its start, after the first time with again=True.
        name: how messages call it.
    Raises:
        SourceError: not even its first frame can be read.
    """

    def __init__(
        self, open_stream: Callable[..., FrameStream], fit: Fit, bars: Bgr, name: str = "video"
    ) -> None:
        self._open_stream = open_stream
        self._fit: Fit = fit
        self._bars = bars
        self._name = name
        self._told = False
        self._start_s: float | None = None
        self._length_s: float | None = None
        self._opener = ThreadPoolExecutor(1, "vidbg-background")
        self._ahead: Future[Beginning] | None = None
        self._shown_s = 0.0
        self._next: Frame | None = None
        self._begin(_begin(self._open_stream))

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
        position_s = (elapsed_s + _ROUNDING_S) % (self._length_s or math.inf)
        if position_s < self._shown_s and not self._rewound():
            return
        shown = None
        while self._next is not None and self._next.pts - self._first_s <= position_s:
            shown = self._step(self._next)
        if shown is not None:
            self._still = self._shown(shown)
        if self._next is None and position_s >= (self._length_s or math.inf):
            self._seek(elapsed_s)

    def _step(self, frame: Frame) -> Frame:
        """Show the next frame; at the end learn the length: the last frame is shown as long as
        the file says, else as long as the one before it."""
        interval_s = frame.pts - self._first_s - self._shown_s
        self._shown_s += interval_s
        self._next = self._read()
        if self._next is None:
            alone = self._shown_s == 0  # one frame stands still
            last_s = frame.duration_s or interval_s
            self._length_s = math.inf if alone else self._shown_s + last_s
            if not alone:
                self._ahead = self._opener.submit(_begin, self._reopen)
        return frame

    def _read(self) -> Frame | None:
        """The next frame; None at the end, also where the file cannot be read on."""
        try:
            return next(self._frames, None)
        except SourceError as error:
            self._tell(error, "what could be read of it is repeated")
            return None

    def _rewound(self) -> bool:
        """Begin anew; False where that fails, and then the frame shown stays for good."""
        ahead, self._ahead = self._ahead, None
        self._stream.close()
        try:
            self._begin(_begin(self._reopen) if ahead is None else ahead.result())
        except SourceError as error:
            self._tell(error, "its last picture stays")
            self._next, self._shown_s, self._length_s = None, -math.inf, math.inf
            return False
        return True

    def _reopen(self) -> FrameStream:
        return self._open_stream(again=True)

    def _begin(self, beginning: Beginning) -> None:
        self._stream, self._frames, first = beginning
        self._first_s, self._shown_s = first.pts, 0.0
        self._still = self._shown(self._step(first))

    def _shown(self, frame: Frame) -> Still:
        image = flatten(frame.image, frame.alpha, self._bars)
        return Still(image, self._fit, self._bars, frame.pixel_aspect)

    def _tell(self, error: SourceError, consequence: str) -> None:
        if not self._told:
            self._told = True
            log.warning("the background %s: %s (%s)", self._name, consequence, error)


Beginning = tuple[FrameStream, Iterator[Frame], Frame]
"""A stream just opened, its frames from the second on, and the first."""


def _begin(open_stream: Callable[[], FrameStream]) -> Beginning:
    stream = open_stream()
    frames = iter(stream)
    try:
        first = next(frames, None)
        if first is None:
            raise SourceError("it holds no frames")
    except SourceError:
        stream.close()
        raise
    return stream, frames, first


def _close_beginning(ahead: Future[Beginning]) -> None:
    if ahead.exception() is None:
        ahead.result()[0].close()
