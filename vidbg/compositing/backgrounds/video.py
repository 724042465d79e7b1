"""A video or an animated image behind the person."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from vidbg.compositing.backgrounds.base import Background, Bgr, FrameStream
from vidbg.compositing.backgrounds.image import ImageBackground
from vidbg.compositing.blend import flatten
from vidbg.compositing.scaling import Fit
from vidbg.errors import SourceError
from vidbg.frame import Alpha, Frame, Image

logger = logging.getLogger(__name__)

_ROUNDING_S = 0.0005  # Matroska counts in milliseconds

OpenedStream = tuple[FrameStream, Iterator[Frame], Frame]
"""A stream that was just opened, its frames from the second on, and the first."""


class VideoBackground(Background):
    """A video or GIF that plays in step with the camera's frames and loops.

    Only the current frame and the next one are held in memory. The first frame asked for shows the
    beginning; a jump forward skips frames, a jump back reads from the beginning. While the last
    frame is shown, a thread opens the file again, which takes longer than a frame lasts.

    A damaged file does not end the run: if it breaks off, the part that could be read is looped; if
    it cannot be opened again, the last frame stays. Either is logged once.

    Args:
        open_stream: opens it from its start; called with again=True after the first time.
        fit: how it fills a frame of another shape.
        bars: BGR of the bars around it, and behind its transparent parts.
        name: what log messages call it.
    Raises:
        SourceError: not even its first frame can be read.
    """

    def __init__(
        self, open_stream: Callable[..., FrameStream], fit: Fit, bars: Bgr, name: str = "video"
    ) -> None:
        self._reopen = partial(open_stream, again=True)
        self._fit: Fit = fit
        self._bars = bars
        self._name = name
        self._warned = False
        self._start_s: float | None = None  # pts of the camera's frame that showed the beginning
        self._length_s: float | None = None  # None until the end was reached; inf for one frame
        self._opener = ThreadPoolExecutor(1, "vidbg-background")
        self._next_round: Future[OpenedStream] | None = None
        self._position_s = 0.0  # of the current frame, from the first one
        self._next: Frame | None = None
        self._begin(_open_stream(open_stream))

    def at(self, frame: Frame, alpha: Alpha) -> Image:
        if self._start_s is None or frame.pts < self._start_s:
            self._start_s = frame.pts
        self._seek(frame.pts - self._start_s)
        return self._current.at(frame, alpha)

    def close(self) -> None:
        def close_opened(opened: Future[OpenedStream]) -> None:
            if opened.exception() is None:
                opened.result()[0].close()

        self._stream.close()
        next_round, self._next_round = self._next_round, None
        if next_round is not None and not next_round.cancel():
            next_round.add_done_callback(close_opened)
        self._opener.shutdown(wait=False)

    def _seek(self, elapsed_s: float) -> None:
        """Make the frame current that is due this long after the beginning."""
        wanted_s = (elapsed_s + _ROUNDING_S) % (self._length_s or math.inf)
        if wanted_s < self._position_s and not self._rewind():
            return
        due = None
        while self._next is not None and self._next.pts - self._first_s <= wanted_s:
            due = self._step(self._next)
        if due is not None:
            self._current = self._as_image(due)
        # The end may have been reached only now: with the length known, the time wraps around
        if self._next is None and wanted_s >= (self._length_s or math.inf):
            self._seek(elapsed_s)

    def _step(self, frame: Frame) -> Frame:
        """Advance to a frame and read the one after it; at the end, learn the video's length.

        The last frame is shown as long as the file says, else as long as the one before it.
        """
        interval_s = frame.pts - self._first_s - self._position_s
        self._position_s += interval_s
        try:
            self._next = next(self._frames, None)
        except SourceError as error:
            self._warn(error, "the part that could be read is repeated")
            self._next = None
        if self._next is None:
            if self._position_s == 0:  # it has one frame, which stays
                self._length_s = math.inf
            else:
                self._length_s = self._position_s + (frame.duration_s or interval_s)
                self._next_round = self._opener.submit(_open_stream, self._reopen)
        return frame

    def _rewind(self) -> bool:
        """Begin again; return False if that fails, and then the current frame stays for good."""
        next_round, self._next_round = self._next_round, None
        self._stream.close()
        try:
            self._begin(_open_stream(self._reopen) if next_round is None else next_round.result())
        except SourceError as error:
            self._warn(error, "its last frame stays")
            self._next, self._position_s, self._length_s = None, -math.inf, math.inf
            return False
        return True

    def _begin(self, opened: OpenedStream) -> None:
        self._stream, self._frames, first = opened
        self._first_s, self._position_s = first.pts, 0.0
        self._current = self._as_image(self._step(first))

    def _as_image(self, frame: Frame) -> ImageBackground:
        image = flatten(frame.image, frame.alpha, self._bars)
        return ImageBackground(image, self._fit, self._bars, frame.pixel_aspect)

    def _warn(self, error: SourceError, consequence: str) -> None:
        if not self._warned:
            self._warned = True
            logger.warning("the background %s: %s (%s)", self._name, consequence, error)


def _open_stream(open_stream: Callable[[], FrameStream]) -> OpenedStream:
    """Open a stream and read its first frame."""
    stream = open_stream()
    frames = iter(stream)
    try:
        first = next(frames, None)
        if first is None:
            raise SourceError("it has no frames")
    except SourceError:
        stream.close()
        raise
    return stream, frames, first
