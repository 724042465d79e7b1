"""A source that needs no camera: a drawn person in front of a wall, or a loop of given images."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache

import cv2
import numpy as np

from vidbg.errors import ConfigError
from vidbg.frame import Alpha, Frame, Image, StreamInfo
from vidbg.util.lifecycle import Closeable

_LOOP_BYTES = 96 * 2**20  # memory limit of the pre-rendered loop, for 4K
_LOOP_FRAMES = (8, 48)


class SyntheticSource(Closeable):
    """Source of the frames of a pre-rendered loop, the same in every run.

    If not live, frames come as fast as they are read, with pts spaced by `frame_rate`. If live, a
    clock paces them like a camera: a late reader misses frames, and the pts skip their times.
    The images are read-only and shared, because the loop repeats.

    Args:
        width, height: size of the frames in pixels.
        frame_rate: frames per second.
        frame_count: number of frames; None continues until closed.
        live: paced by a clock.
        pictures: a loop to use instead, uint8 (height, width, 3) BGR each; None draws a person who
            sways in front of a wall.
    Raises:
        ConfigError: a size, rate or count is not positive; no pictures, or of another size.
    """

    def __init__(
        self,
        width: int,
        height: int,
        frame_rate: Fraction,
        frame_count: int | None = None,
        live: bool = False,
        *,
        pictures: Sequence[Image] | None = None,
    ) -> None:
        for wrong, what in (
            (width < 1 or height < 1, f"of {width}x{height} pixels: both must be 1 or more"),
            (frame_rate <= 0, f"at {frame_rate} frames per second: give more than 0"),
            ((frame_count or 0) < 0, f"of {frame_count} frames: give 0 or more, or None"),
        ):
            if wrong:
                raise ConfigError(f"a synthetic source {what}")
        self._loop = (
            swaying_person(width, height) if pictures is None else _own(pictures, width, height)
        )
        self._rate = frame_rate
        self._closed = threading.Event()
        self._info = StreamInfo(
            width=width,
            height=height,
            frame_rate=frame_rate,
            time_base=None if live else 1 / frame_rate,
            frame_count=frame_count,
            duration_s=None if frame_count is None else float(frame_count / frame_rate),
            live=live,
        )

    @property
    def info(self) -> StreamInfo:
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        slots = self._clocked_slots() if self._info.live else iter(range(2**63))
        for index, slot in enumerate(slots):
            if self._closed.is_set() or index == self._info.frame_count:
                return
            pts = float(slot / self._rate)
            yield Frame(self._loop[slot % len(self._loop)], pts, index)

    def _clocked_slots(self) -> Iterator[int]:
        start, slot = time.monotonic(), 0
        while True:
            due = start + float(slot / self._rate)
            if self._closed.wait(max(0.0, due - time.monotonic())):
                return
            yield slot
            slot = max(slot + 1, math.floor((time.monotonic() - start) * self._rate))

    def close(self) -> None:
        self._closed.set()


def _own(pictures: Sequence[Image], width: int, height: int) -> list[Image]:
    """Check the user's loop and return it as read-only views."""
    if not pictures:
        raise ConfigError("a synthetic source got an empty list of pictures: give at least one")
    for picture in pictures:
        if picture.shape != (height, width, 3) or picture.dtype != np.uint8:
            raise ConfigError(
                f"a picture of the loop is {picture.dtype} {picture.shape}, "
                f"but must be uint8 {(height, width, 3)} (height, width, BGR)"
            )
    loop = [np.ascontiguousarray(picture).view() for picture in pictures]
    for image in loop:
        image.setflags(write=False)
    return loop


@lru_cache(maxsize=1)
def swaying_person(width: int, height: int) -> tuple[Image, ...]:
    """Draw a seamless loop of a person who sways and nods in front of a textured wall.

    Drawing takes most of a second; the last size is cached for a source that is reopened.

    Returns:
        8 to 48 read-only images, uint8 (height, width, 3) BGR; fewer the larger they are.
    """
    minimum, maximum = _LOOP_FRAMES
    count = min(maximum, max(minimum, _LOOP_BYTES // (width * height * 3)))
    wall, (person, alpha) = _wall(width, height), _person(width, height)
    loop = []
    for number in range(count):
        angle = 2 * math.pi * (number / count)
        turn = cv2.getRotationMatrix2D((width / 2, float(height)), 2.5 * math.sin(angle), 1.0)
        sway, nod = 0.05 * width * math.sin(angle), 0.01 * height * (1 - math.cos(2 * angle))
        turn[:, 2] += np.array([sway, nod])
        moved, weight = (
            cv2.warpAffine(layer, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
            for layer in (person, alpha)
        )
        image = np.asarray(cv2.blendLinear(moved, wall, weight, 1 - weight), np.uint8)
        image.setflags(write=False)
        loop.append(image)
    return tuple(loop)


def _wall(width: int, height: int) -> Image:
    """Draw a lit wall with a bookshelf and fine grain, which is not trivial to compress."""
    light = np.linspace(215, 150, width, dtype=np.float32)[None, :, None]
    grain = np.random.default_rng(0).normal(0, 3, (height, width, 1)).astype(np.float32)
    wall: Image = np.clip(light * (0.9, 0.97, 1.0) + grain, 0, 255).astype(np.uint8)
    shelf, book = int(0.42 * height), max(2, width // 40)
    for number, left in enumerate(range(0, width // 3, book)):
        top = shelf - int(height * (0.16 + 0.03 * (number * 7 % 5)))
        colour = (40 + 50 * (number % 4), 60 + 40 * (number % 3), 90 + 30 * (number % 5))
        cv2.rectangle(wall, (left, top), (left + book - 2, shelf), colour, -1)
    cv2.rectangle(wall, (0, shelf), (width // 3, shelf + max(1, height // 60)), (50, 80, 110), -1)
    return wall


def _person(width: int, height: int) -> tuple[Image, Alpha]:
    """Draw head, hair, neck and shoulders, and their alpha; edges are soft over ~2 pixels."""
    image = np.full((height, width, 3), (120, 70, 40), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    unit, centre = min(width, height * 16 // 9) / 16, width / 2

    def ellipse(x: float, y: float, across: float, down: float, colour: tuple[int, ...]) -> None:
        middle = (int(centre + x * unit), int(y * height))
        size = (max(1, int(across * unit)), max(1, int(down * unit)))
        wider = (size[0] + 2, size[1] + 2)  # the colour reaches past the soft outline
        cv2.ellipse(image, middle, wider, 0, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(mask, middle, size, 0, 0, 360, 255, -1, cv2.LINE_AA)

    ellipse(0, 1.05, 3.6, 3.4, (120, 70, 40))  # shoulders
    ellipse(0, 0.66, 0.8, 1.3, (130, 160, 205))  # neck
    ellipse(0, 0.36, 1.5, 1.9, (35, 45, 60))  # hair
    ellipse(0, 0.42, 1.25, 1.6, (150, 180, 225))  # face
    for side in (-0.5, 0.5):
        ellipse(side, 0.39, 0.14, 0.1, (60, 50, 40))
    ellipse(0, 0.52, 0.4, 0.08, (90, 90, 180))
    alpha = cv2.GaussianBlur(mask, (0, 0), max(0.6, width / 1600))
    return image, np.asarray(alpha, np.float32) / np.float32(255)
