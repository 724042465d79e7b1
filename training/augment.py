"""Training pairs made from picture sets: framing, compositing over other rooms, webcam damage.

Everything is drawn from one random generator, so a batch is a function of (seed, step) and a
resumed training sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.data import Mask, PictureSet, read_sample, sampling_weights
from vidbg.compositing.foreground import estimate_foreground
from vidbg.frame import Image

Matrix = NDArray[np.float64]

MAX_ROTATION_DEG = 12.0
_TOUCHING_SHARE = 0.01
"""Share of a picture's side that must be person before the person counts as cut by it."""


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Shares of training pairs that get each treatment."""

    nobody: float = 0.18
    composite: float = 0.55
    second_person: float = 0.12
    webcam_framing: float = 0.6


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a picture that fills the training picture, in source pixels."""

    x: float
    y: float
    width: float
    height: float


class PairMaker:
    """Makes training pairs from sets with people and sets without.

    Args:
        people: sets that show people, drawn with `weights`.
        rooms: sets without people: backgrounds, and pictures of nobody. May be empty.
    """

    def __init__(
        self,
        people: Sequence[PictureSet],
        weights: NDArray[np.float64],
        rooms: Sequence[PictureSet],
        config: AugmentConfig,
    ) -> None:
        self._people = people
        self._weights = weights
        self._rooms = rooms
        self._room_weights = sampling_weights(rooms, {}) if rooms else None
        self._config = config

    def make(self, rng: Generator, height: int, width: int) -> tuple[Image, Mask]:
        """One pair: uint8 (height, width, 3) BGR and uint8 (height, width)."""
        if self._rooms and rng.random() < self._config.nobody:
            image, mask = self._room(rng, height, width), np.zeros((height, width), np.uint8)
        else:
            image, mask = self._with_people(rng, height, width)
        if rng.random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        return damage(rng, np.ascontiguousarray(image)), np.ascontiguousarray(mask)

    def _with_people(self, rng: Generator, height: int, width: int) -> tuple[Image, Mask]:
        pictures, image, mask = _draw(rng, self._people, self._weights)
        framed = rng.random() < self._config.webcam_framing
        if self._rooms and (pictures.cutouts or rng.random() < self._config.composite):
            return self._composited(rng, image, mask, framed, height, width)
        window = frame_person(rng, mask, width / height, framed, inside=True)
        return _cut(rng, image, mask, window, height, width, cv2.BORDER_REFLECT_101)

    def _composited(
        self, rng: Generator, image: Image, mask: Mask, framed: bool, height: int, width: int
    ) -> tuple[Image, Mask]:
        canvas, total = self._room(rng, height, width), np.zeros((height, width), np.uint8)
        people = [(image, mask, framed)]
        if rng.random() < self._config.second_person:
            _, other, other_mask = _draw(rng, self._people, self._weights)
            people.insert(0, (other, other_mask, False))
        for picture, alpha, webcam in people:
            window = frame_person(rng, alpha, width / height, webcam, inside=False)
            # A repeated border goes on with a person who is cut off there, else with nobody.
            border = cv2.BORDER_REPLICATE
            person, cut = _cut(rng, picture, alpha, window, height, width, border)
            canvas, total = _paste(rng, canvas, total, person, cut)
        return canvas, total

    def _room(self, rng: Generator, height: int, width: int) -> Image:
        _, image, mask = _draw(rng, self._rooms, self._room_weights)
        window = _anywhere(rng, image.shape[0], image.shape[1], width / height)
        room, _ = _cut(rng, image, mask, window, height, width, cv2.BORDER_REFLECT_101)
        if rng.random() < 0.25:
            room = _gaussian(room, rng.uniform(0.8, 5.0))
        return room


def _draw(
    rng: Generator, sets: Sequence[PictureSet], weights: NDArray[np.float64] | None
) -> tuple[PictureSet, Image, Mask]:
    pictures = sets[rng.choice(len(sets), p=weights)]
    return pictures, *read_sample(pictures.samples[rng.integers(len(pictures.samples))])


def frame_person(
    rng: Generator, mask: Mask, aspect: float, webcam: bool, *, inside: bool
) -> Window:
    """A window around the person: as a webcam frames them, or anywhere in the picture.

    Args:
        aspect: width / height of the window.
        webcam: head and upper body rather than any part.
        inside: the window stays in the picture; else it may leave it at sides where the person is
            not cut off, so that no person floats with a straight edge.
    """
    height, width = mask.shape
    ys, xs = np.flatnonzero(mask.max(1) > 127), np.flatnonzero(mask.max(0) > 127)
    if not len(ys):
        return _anywhere(rng, height, width, aspect)
    top, tall, wide = ys[0], ys[-1] - ys[0] + 1, xs[-1] - xs[0] + 1
    if not webcam:
        window_height = tall * rng.uniform(1.0, 2.4) if not inside else height * rng.uniform(0.5, 1)
    elif tall > 1.7 * wide:
        window_height = tall * rng.uniform(0.28, 0.9)
    else:
        window_height = tall * rng.uniform(0.7, 1.6)
    x = (xs[0] + xs[-1]) / 2 + wide * rng.uniform(-0.35, 0.35) - window_height * aspect / 2
    y = top - window_height * rng.uniform(0.02, 0.35)
    if not webcam and inside:
        y = rng.uniform(0, height - window_height)
    return _keep_cut_sides(mask, Window(x, y, window_height * aspect, window_height), inside)


def _keep_cut_sides(mask: Mask, window: Window, inside: bool) -> Window:
    height, width = mask.shape
    sides = (mask[:, 0], mask[:, -1], mask[0], mask[-1])
    left, right, top, bottom = (inside or (s > 127).mean() > _TOUCHING_SHARE for s in sides)
    factor = min(
        1.0,
        width / window.width if left and right else 1.0,
        height / window.height if top and bottom else 1.0,
    )
    wide, tall = window.width * factor, window.height * factor
    x = window.x + (window.width - wide) / 2
    x = min(x, width - wide) if right else x
    x = max(x, 0.0) if left else x
    y = min(window.y, height - tall) if bottom else window.y
    y = max(y, 0.0) if top else y
    return Window(x, y, wide, tall)


def _anywhere(rng: Generator, height: int, width: int, aspect: float) -> Window:
    tall = min(height, width / aspect) * rng.uniform(0.5, 1.0)
    wide = tall * aspect
    return Window(rng.uniform(0, width - wide), rng.uniform(0, height - tall), wide, tall)


def _cut(
    rng: Generator, image: Image, mask: Mask, window: Window, height: int, width: int, border: int
) -> tuple[Image, Mask]:
    matrix = _placing(window, height, width, _rotation(rng))
    shrinking = window.height / height
    if shrinking > 1.5:  # bilinear sampling alone would alias
        image, mask = _gaussian(image, 0.35 * shrinking), _gaussian(mask, 0.35 * shrinking)
    size = (width, height)
    reflect = cv2.BORDER_REFLECT_101
    cut = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=reflect)
    alpha = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(cut, np.uint8), np.asarray(alpha, np.uint8)


def _gaussian(picture: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def _rotation(rng: Generator) -> float:
    return rng.uniform(-MAX_ROTATION_DEG, MAX_ROTATION_DEG) if rng.random() < 0.35 else 0.0


def _placing(window: Window, height: int, width: int, rotation_deg: float) -> Matrix:
    scale = height / window.height
    centre = (window.x + window.width / 2, window.y + window.height / 2)
    matrix = np.asarray(cv2.getRotationMatrix2D(centre, rotation_deg, scale), np.float64)
    matrix[:, 2] += (width / 2 - centre[0], height / 2 - centre[1])
    return matrix


def _paste(
    rng: Generator, canvas: Image, total: Mask, person: Image, mask: Mask
) -> tuple[Image, Mask]:
    alpha = mask.astype(np.float32) * np.float32(1 / 255)
    person = relight(rng, estimate_foreground(person, alpha))
    weight = alpha[..., None]
    mixed = person * weight + canvas * (1 - weight) + 0.5
    union = np.maximum(total, mask)
    return mixed.astype(np.uint8), union


def relight(rng: Generator, image: Image) -> Image:
    """Other exposure, contrast, gamma and colour temperature, by one table per channel."""
    if rng.random() < 0.2:
        return image
    warmth = rng.normal(0, 0.07)
    gains = rng.uniform(0.75, 1.25) * np.array([1 - warmth, 1 + rng.normal(0, 0.02), 1 + warmth])
    gamma = np.exp(rng.normal(0, 0.18))
    levels = np.linspace(0, 1, 256)[:, None] ** gamma * gains + rng.uniform(-0.06, 0.06)
    table = np.clip(levels * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table.reshape(1, 256, 3)), np.uint8)


def damage(rng: Generator, image: Image) -> Image:
    """What a webcam does to a picture: light, colour, blur, low light, noise, compression."""
    image = relight(rng, image)
    if rng.random() < 0.25:
        image = _saturate(image, rng.uniform(0.0, 1.6))
    if rng.random() < 0.2:
        image = _blur(rng, image)
    if rng.random() < 0.12:
        image = _coarsen(image, rng.uniform(1.3, 2.5))
    if rng.random() < 0.12:
        image = np.asarray(cv2.convertScaleAbs(image, alpha=rng.uniform(0.25, 0.6)), np.uint8)
    if rng.random() < 0.4:
        image = _noise(rng, image, abs(rng.normal(0, 8)) + 1)
    if rng.random() < 0.3:
        image = _compress(image, int(rng.integers(25, 85)))
    return image


def _saturate(image: Image, factor: float) -> Image:
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return np.asarray(cv2.addWeighted(image, factor, grey, 1 - factor, 0), np.uint8)


def _blur(rng: Generator, image: Image) -> Image:
    if rng.random() < 0.5:
        return _gaussian(image, rng.uniform(0.5, 1.6))
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    turn = cv2.getRotationMatrix2D(((length - 1) / 2,) * 2, rng.uniform(0, 180), 1)
    kernel = np.asarray(cv2.warpAffine(kernel, turn, (length, length)), np.float32)
    return np.asarray(cv2.filter2D(image, -1, kernel / max(float(kernel.sum()), 1e-6)), np.uint8)


def _coarsen(image: Image, factor: float) -> Image:
    height, width = image.shape[:2]
    small = cv2.resize(
        image, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _noise(rng: Generator, image: Image, sigma: float) -> Image:
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(sigma)
    if rng.random() < 0.5:  # sensors' noise after demosaicking is coarser than a pixel
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.8), np.float32) * np.float32(2)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def _compress(image: Image, quality: int) -> Image:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
