"""Training scenes made from picture sets: framing, compositing over other rooms, webcam damage.

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

from training.damage import damage, gaussian, relight
from training.data import Mask, PictureSet, read_sample, sampling_weights
from training.framing import (
    Framing,
    Matrix,
    anywhere,
    frame_person,
    moved,
    placing,
    small_motion,
)
from vidbg.compositing.foreground import estimate_foreground
from vidbg.frame import Image


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Shares of training scenes that get each treatment."""

    nobody: float = 0.18
    composite: float = 0.55
    second_person: float = 0.12
    webcam_framing: float = 0.5
    whole_framing: float = 0.35
    still: float = 0.4
    """Of the layers of a clip: they do not move."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A picture placed in a scene.

    Attributes:
        mask: what of it is person, uint8 (H, W); zeros: nobody.
        matrix: 2 x 3, from the picture's pixels to the scene's.
        blur: sigma in the scene's pixels.
        light: seed of the light on a pasted person.
    """

    image: Image
    mask: Mask
    matrix: Matrix
    blur: float = 0.0
    light: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """A background, which may show a person itself, and people pasted over it."""

    height: int
    width: int
    background: Layer
    people: tuple[Layer, ...]
    mirrored: bool
    damage: int
    """Seed of what the webcam does."""

    def render(self, noise: Generator, motions: Sequence[Matrix] = ()) -> tuple[Image, Mask]:
        """The picture, uint8 (height, width, 3) BGR, and its mask, uint8 (height, width).

        Args:
            noise: draws the sensor's noise.
            motions: 2 x 3, a matrix a layer, background first: how it has moved. None: as placed.
        """
        layers = [self.background, *self.people]
        if motions:
            layers = [moved_layer(*pair) for pair in zip(layers, motions, strict=True)]
        image, mask = self._cut(layers[0], cv2.BORDER_REFLECT_101)
        if self.background.blur:
            image = gaussian(image, self.background.blur)
        for layer in layers[1:]:
            # A repeated border goes on with a person who is cut off there, else with nobody.
            person, cut = self._cut(layer, cv2.BORDER_REPLICATE)
            image, mask = _paste(layer.light, image, mask, person, cut)
        if self.mirrored:
            image, mask = image[:, ::-1], mask[:, ::-1]
        seen = damage(np.random.default_rng(self.damage), noise, np.ascontiguousarray(image))
        return seen, np.ascontiguousarray(mask)

    def motions(self, rng: Generator, still: float) -> list[Matrix]:
        """A small motion of each layer, background first; `still` of them do not move."""
        identity = np.eye(2, 3)
        count = 1 + len(self.people)
        moves = [small_motion(rng, self.height, self.width) for _ in range(count)]
        return [identity if rng.random() < still else move for move in moves]

    def _cut(self, layer: Layer, border: int) -> tuple[Image, Mask]:
        image, mask = layer.image, layer.mask
        shrinking = 1 / np.sqrt(abs(np.linalg.det(layer.matrix[:, :2])))
        if shrinking > 1.5:  # bilinear sampling alone would alias
            image, mask = gaussian(image, 0.35 * shrinking), gaussian(mask, 0.35 * shrinking)
        size, reflect = (self.width, self.height), cv2.BORDER_REFLECT_101
        cut = cv2.warpAffine(image, layer.matrix, size, flags=cv2.INTER_LINEAR, borderMode=reflect)
        alpha = cv2.warpAffine(mask, layer.matrix, size, flags=cv2.INTER_LINEAR, borderMode=border)
        return np.asarray(cut, np.uint8), np.asarray(alpha, np.uint8)


def moved_layer(layer: Layer, motion: Matrix) -> Layer:
    matrix = moved(layer.matrix, motion)
    return Layer(layer.image, layer.mask, matrix, layer.blur, layer.light)


class SceneMaker:
    """Makes scenes from sets with people and sets without.

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
        self.config = config

    def make(self, rng: Generator, height: int, width: int) -> Scene:
        people: list[Layer] = []
        if self._rooms and rng.random() < self.config.nobody:
            background = self._room(rng, height, width)
        else:
            background, people = self._with_people(rng, height, width)
        mirrored = rng.random() < 0.5
        return Scene(height, width, background, tuple(people), mirrored, _seed(rng))

    def pair(self, rng: Generator, height: int, width: int) -> tuple[Image, Mask]:
        """A still: uint8 (height, width, 3) BGR and uint8 (height, width)."""
        return self.make(rng, height, width).render(rng)

    def _with_people(self, rng: Generator, height: int, width: int) -> tuple[Layer, list[Layer]]:
        pictures, image, mask = _draw(rng, self._people, self._weights)
        framing = self._framing(rng)
        if self._rooms and (pictures.cutouts or rng.random() < self.config.composite):
            people = [self._person(rng, image, mask, framing, height, width)]
            if rng.random() < self.config.second_person:
                _, other, other_mask = _draw(rng, self._people, self._weights)
                second = self._person(rng, other, other_mask, Framing.ANYWHERE, height, width)
                people.insert(0, second)
            return self._room(rng, height, width), people
        window = frame_person(rng, mask, width / height, framing, inside=True)
        return Layer(image, mask, placing(rng, window, height, width)), []

    def _framing(self, rng: Generator) -> Framing:
        number = rng.random()
        if number < self.config.webcam_framing:
            return Framing.WEBCAM
        number -= self.config.webcam_framing
        return Framing.WHOLE if number < self.config.whole_framing else Framing.ANYWHERE

    def _person(
        self, rng: Generator, image: Image, mask: Mask, framing: Framing, height: int, width: int
    ) -> Layer:
        window = frame_person(rng, mask, width / height, framing, inside=False)
        return Layer(image, mask, placing(rng, window, height, width), light=_seed(rng))

    def _room(self, rng: Generator, height: int, width: int) -> Layer:
        _, image, mask = _draw(rng, self._rooms, self._room_weights)
        window = anywhere(rng, image.shape[0], image.shape[1], width / height)
        blur = rng.uniform(0.8, 5.0) if rng.random() < 0.25 else 0.0
        return Layer(image, mask, placing(rng, window, height, width), blur)


def _draw(
    rng: Generator, sets: Sequence[PictureSet], weights: NDArray[np.float64] | None
) -> tuple[PictureSet, Image, Mask]:
    pictures = sets[rng.choice(len(sets), p=weights)]
    return pictures, *read_sample(pictures.samples[rng.integers(len(pictures.samples))])


def _seed(rng: Generator) -> int:
    return int(rng.integers(2**62))


def _paste(light: int, canvas: Image, total: Mask, person: Image, mask: Mask) -> tuple[Image, Mask]:
    alpha = mask.astype(np.float32) * np.float32(1 / 255)
    lit = relight(np.random.default_rng(light), estimate_foreground(person, alpha))
    weight = alpha[..., None]
    mixed = lit * weight + canvas * (1 - weight) + 0.5
    return mixed.astype(np.uint8), np.maximum(total, mask)
