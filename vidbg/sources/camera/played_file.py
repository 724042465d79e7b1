"""A file used as a camera: looped, at its own speed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from vidbg.errors import SourceError, SourceIncomplete
from vidbg.frame import Frame, Image, StreamInfo
from vidbg.sources import Source
from vidbg.util.lifecycle import Closeable

log = logging.getLogger(__name__)

_LONGEST_S = 0.5
"""A picture that lasts longer is given again, because a camera that gives nothing has frozen."""

_LATE_S = 0.5
"""A reader that is later than this continues from there, without catching up."""

_MAX_FPS = 120
"""A higher nominal rate is only the unit of a file's clock, not its frame rate."""


class OpenClip(Protocol):
    """Opens a file from its start; `again`: not for the first time in this run."""

    def __call__(self, *, again: bool) -> Source: ...


@dataclass(frozen=True, slots=True)
class PlayedMode:
    """Size and frame rate of the file being played, for display."""

    info: StreamInfo
    looped: bool = True

    def __str__(self) -> str:
        rate = self.info.frame_rate
        at = "" if rate is None else f" at {float(rate):.4g} FPS"
        return f"{self.info.width}x{self.info.height}{at}{', looped' if self.looped else ''}"


class PlayedSource(Closeable):
    """Source of a file's frames in real time, restarting at the end.

    A photo is repeated. Hidden colours of transparent files become black. Damaged parts are
    reported once, and the readable parts are played.

    Args:
        open_source: opens the file from its start, as open_frames does.
        frame_rate: of the output, used for photos and for files without one.
        again: the file was already opened in this run, so its oddities are not logged again.
    Raises:
        SourceError: it cannot be opened; while reading: it cannot be reopened, or it is empty.
    """

    def __init__(self, open_source: OpenClip, frame_rate: Fraction, *, again: bool = False) -> None:
        self._open_source = open_source
        self._closed = threading.Event()
        self._source = open_source(again=again)
        info = self._source.info
        rate = info.frame_rate if info.frame_rate and info.frame_rate <= _MAX_FPS else frame_rate
        self._period_s = 1 / float(rate)
        self._info = StreamInfo(info.width, info.height, frame_rate=rate, live=True)
        self._reported = False

    @property
    def info(self) -> StreamInfo:
        return self._info

    @property
    def mode(self) -> PlayedMode:
        return PlayedMode(self._info)

    def __iter__(self) -> Iterator[Frame]:
        start = time.monotonic()
        for index, image in enumerate(self._paced()):
            yield Frame(image, time.monotonic() - start, index)

    def _paced(self) -> Iterator[Image]:
        """Yield each image when it is due; repeat long ones."""
        due, shown = time.monotonic(), None
        for image, lasts_s in self._looped():
            while shown is not None and due - time.monotonic() > _LONGEST_S:
                if self._closed.wait(_LONGEST_S):
                    return
                yield shown
            if self._closed.wait(max(0.0, due - time.monotonic())):
                return
            yield image
            now = time.monotonic()
            due = (now if now - due > _LATE_S else due) + lasts_s
            shown = image

    def _looped(self) -> Iterator[tuple[Image, float]]:
        """Yield each image and its duration, in an endless loop."""
        while not self._closed.is_set():
            last, count, lasts_s = None, 0, self._period_s
            for frame in self._once():
                if last is not None:
                    lasts_s = max(0.0, frame.pts - last.pts)
                    yield _visible(last), lasts_s
                last, count = frame, count + 1
            if last is None:
                if self._closed.is_set():
                    return
                raise SourceError("the file for the camera holds no frames")
            yield _visible(last), lasts_s
            while count == 1 and not self._closed.is_set():
                yield _visible(last), self._period_s
            if not self._closed.is_set():
                self._source = self._open_source(again=True)

    def _once(self) -> Iterator[Frame]:
        with self._source as source:
            try:
                yield from source
            except SourceIncomplete as error:
                if not self._reported:
                    log.warning("%s", error)
                    self._reported = True

    def close(self) -> None:
        self._closed.set()
        self._source.close()


def _visible(frame: Frame) -> Image:
    """Return a frame's image with the colours that its alpha hides set to black."""
    if frame.alpha is None:
        return frame.image
    visible = np.rint(frame.image * frame.alpha[..., np.newaxis])
    return np.asarray(visible, np.uint8)
