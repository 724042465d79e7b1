"""A slide show behind the person."""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from vidbg.compositing.backgrounds.base import Background, Bgr
from vidbg.compositing.backgrounds.image import ImageBackground
from vidbg.compositing.blend import faded, flatten
from vidbg.compositing.scaling import Fit, resize
from vidbg.errors import ConfigError, SourceError
from vidbg.frame import Alpha, Frame, Image
from vidbg.util.photo_file import read_picture
from vidbg.util.picture_names import pictures_in

logger = logging.getLogger(__name__)

MAX_SIDE_PX = 4096
"""A larger picture is scaled down: two of them are kept in memory."""

PATIENCE_S = 0.25
"""How long a frame waits for a picture that is due and not decoded yet; after that it stays."""

Slide = tuple[Path, ImageBackground]


class SlideShow(Background):
    """The pictures of a folder by name, in step with the camera's frames.

    The current picture and the next one are held in memory. The next is decoded and scaled in a
    thread of its own. The folder is listed again for each picture, so what is added is shown in its
    turn. Pictures that cannot be read are skipped, with one warning.

    Args:
        folder: of the pictures.
        seconds: how long each stays.
        fit: how they fill a frame of another shape.
        bars: BGR of the bars around them, and behind their transparent parts.
    Raises:
        ConfigError: no picture in the folder can be read.
    """

    def __init__(self, folder: Path, seconds: float, fit: Fit, bars: Bgr) -> None:
        self._folder, self._seconds = folder, seconds
        self._fit: Fit = fit
        self._bars = bars
        self._warned = False
        first = self._load(None, None)
        if first is None:
            raise ConfigError(f"no picture in the folder of slides {str(folder)!r} can be read")
        self._current: Slide = first
        self._before: ImageBackground | None = None  # while it fades
        self._since_s: float | None = None  # pts at which the current picture began
        self._loader = ThreadPoolExecutor(1, "vidbg-slides")
        self._next: Future[Slide | None] | None = None

    def at(self, frame: Frame, alpha: Alpha) -> Image:
        if self._since_s is None or frame.pts < self._since_s:
            self._since_s, self._before = frame.pts, None
        elapsed_s = frame.pts - self._since_s
        if elapsed_s >= self._seconds:
            self._advance(frame)
            elapsed_s = frame.pts - self._since_s
        image = self._current[1].at(frame, alpha)
        fade_s = min(self.fade_s, self._seconds / 2)
        if self._before is not None and elapsed_s < fade_s:  # nothing is decoded meanwhile
            return faded(self._before.at(frame, alpha), image, elapsed_s / fade_s)
        self._before = None
        if self._next is None:
            self._next = self._loader.submit(self._load, self._current[0], frame)
        return image

    def _advance(self, frame: Frame) -> None:
        """Show the next picture if it is there; else the current one stays."""
        if self._next is None or self._since_s is None:
            return
        try:
            slide = self._next.result(PATIENCE_S)
        except TimeoutError:
            return
        self._next = None
        late_s = frame.pts - self._since_s - self._seconds
        self._since_s = frame.pts - (late_s if late_s < self._seconds else 0.0)
        if slide is not None:
            self._before, self._current = self._current[1], slide

    def _load(self, after: Path | None, frame: Frame | None) -> Slide | None:
        """Decode the first readable picture whose turn comes after a path.

        Args:
            frame: for whose size it is scaled at once.
        Returns:
            The picture; None if there is no other.
        """
        paths = pictures_in(self._folder)
        later = [path for path in paths if after is not None and path.name > after.name]
        earlier = [path for path in paths if after is None or path.name < after.name]
        for path in (*later, *earlier):
            try:
                picture, problem = read_picture(path), "it is not a picture, or it is damaged"
            except SourceError as error:
                picture, problem = None, str(error)
            if picture is None:
                if not self._warned:
                    self._warned = True
                    logger.warning(
                        "the slide %s is skipped, and so is every other that cannot be read: %s",
                        path,
                        problem,
                    )
                continue
            image = flatten(picture.image, picture.alpha, self._bars)
            scale = min(1.0, MAX_SIDE_PX / max(image.shape))
            image = resize(image, *(max(1, round(side * scale)) for side in image.shape[:2]))
            slide = ImageBackground(image, self._fit, self._bars, picture.pixel_aspect)
            if frame is not None:  # scale it here, not when it is due
                slide.at(frame, np.zeros(frame.image.shape[:2], np.float32))
            return path, slide
        return None

    def close(self) -> None:
        if self._next is not None:
            self._next.cancel()
        self._loader.shutdown(wait=False)
