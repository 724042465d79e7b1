"""Training scenes made from image sets: framing, compositing, objects, webcam degradation.

A scene is a background with layers over it, back to front: people, who make up the mask; held
objects, which belong to the person; and other objects, which hide what is behind them.

All randomness comes from one generator, so a batch is a function of (seed, step) and a resumed
training sees the same batches as an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.data.contrast import backlight, camouflage
from training.data.degradations import blur_motion, degrade, gaussian, relight
from training.data.image_sets import ImageSet, Mask, read_sample, sampling_weights
from training.data.mask_edges import shift_edge
from training.data.objects import Box, Place, person_box, place_object
from training.data.person_windows import (
    Framing,
    Matrix,
    anywhere,
    frame_person,
    moved,
    placing,
    small_motion,
)
from training.data.scene_sources import SceneSources
from training.data.trust import COMPOSITES
from vidbg.compositing.foreground import estimate_foreground
from vidbg.frame import Image


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """Shares of the training scenes that get each augmentation, in [0, 1]."""

    nobody: float = 0.18
    composite: float = 0.55
    second_person: float = 0.18
    """Share of composites with a second person; the same share of those gets a third."""
    objects: float = 0.35
    """Share of all scenes with an object; half of those get two."""
    held: float = 0.12
    """Share of composites in which the person holds an object."""
    motion_blur: float = 0.15
    """Share of pasted people with a part, such as an arm, that is blurred by motion."""
    camouflage: float = 0.12
    """Share of composites whose background takes on the colour of the clothes."""
    backlight: float = 0.06
    """Share of composites with a dark person in front of a bright background."""
    webcam_framing: float = 0.42
    close_framing: float = 0.1
    whole_framing: float = 0.34
    still: float = 0.4
    """Share of a clip's layers that do not move."""


class Role(Enum):
    """How a layer affects the mask."""

    PERSON = auto()
    HELD = auto()
    OBJECT = auto()


@dataclass(frozen=True, slots=True)
class Layer:
    """An image placed in a scene.

    Attributes:
        mask: uint8 (H, W), the visible part; in a background, the person in it.
        matrix: 2 x 3, maps the image's pixels to the scene's.
        blur: sigma of a Gaussian, in the scene's pixels.
        light: seed for the light on a pasted image.
        motion_blur: seed for motion blur on a part of it; 0 for none.
    """

    image: Image
    mask: Mask
    matrix: Matrix
    blur: float = 0.0
    light: int = 0
    motion_blur: int = 0
    role: Role = Role.PERSON


@dataclass(frozen=True, slots=True)
class Scene:
    """A background, which may itself show a person, and the layers pasted over it, back to front.

    Attributes:
        degradation: seed for what the webcam does to the image.
        camouflage: seed for a background in the colour of the clothes; 0 for none.
        backlight: seed for a bright background behind dark people; 0 for none.
        coarse: whether the mask is only roughly right at the edge.
        trust: the teacher's share of the target, in [0, 1].
    """

    height: int
    width: int
    background: Layer
    pasted: tuple[Layer, ...]
    mirrored: bool
    degradation: int
    camouflage: int = 0
    backlight: int = 0
    coarse: bool = False
    trust: float = 0.0

    def render(self, noise: Generator, motions: Sequence[Matrix] = ()) -> tuple[Image, Mask]:
        """Render the image, uint8 (height, width, 3) BGR, and its mask, uint8 (height, width).

        Args:
            noise: generator of the sensor's noise.
            motions: a 2 x 3 matrix for each layer, background first; empty if nothing has moved.
        """
        image, mask = self.compose(motions)
        return self.degrade(noise, image), mask

    def compose(self, motions: Sequence[Matrix] = ()) -> tuple[Image, Mask]:
        """Render the scene without degradation: uint8 (height, width, 3) BGR, and its mask."""
        layers = [self.background, *self.pasted]
        if motions:
            layers = [moved_layer(*pair) for pair in zip(layers, motions, strict=True)]
        image, mask = self._cut(layers[0], cv2.BORDER_REFLECT_101)
        if self.background.blur:
            image = gaussian(image, self.background.blur)
        cuts = [self._cut_pasted(layer) for layer in layers[1:]]
        people = [cut for layer, cut in zip(layers[1:], cuts, strict=True) if _is_person(layer)]
        if self.camouflage and people:
            image = camouflage(np.random.default_rng(self.camouflage), image, *people[-1])
        dimming = 1.0
        if self.backlight:
            image, dimming = backlight(np.random.default_rng(self.backlight), image)
        for layer, (colours, cut) in zip(layers[1:], cuts, strict=True):
            image, mask = _paste(layer, image, mask, colours, cut, dimming)
        if self.mirrored:
            image, mask = image[:, ::-1], mask[:, ::-1]
        return np.ascontiguousarray(image), np.ascontiguousarray(mask)

    def degrade(self, noise: Generator, image: Image) -> Image:
        """Degrade an image as the scene's webcam does; `noise` draws the sensor's noise."""
        return degrade(np.random.default_rng(self.degradation), noise, image)

    def enlarged(self, factor: float) -> Scene:
        """Return the same scene with `factor` times the pixels on each side, rounded."""
        height, width = round(self.height * factor), round(self.width * factor)
        scales = np.array([[width / self.width], [height / self.height]])

        def larger(layer: Layer) -> Layer:
            # Pixel centres are at whole numbers, so the corner at -0.5 stays in place
            matrix = layer.matrix * scales
            matrix[:, 2] += (scales[:, 0] - 1) / 2
            return replace(layer, matrix=matrix, blur=layer.blur * factor)

        pasted = tuple(larger(layer) for layer in self.pasted)
        background = larger(self.background)
        return replace(self, height=height, width=width, background=background, pasted=pasted)

    def motions(self, rng: Generator, still: float) -> list[Matrix]:
        """Draw a small motion for each layer, background first; a share `still` does not move."""
        identity = np.eye(2, 3)
        count = 1 + len(self.pasted)
        moves = [small_motion(rng, self.height, self.width) for _ in range(count)]
        return [identity if rng.random() < still else move for move in moves]

    def _cut_pasted(self, layer: Layer) -> tuple[Image, Mask]:
        """Warp a pasted layer to the scene's size; a person cut off by the border is continued."""
        image, cut = self._cut(
            layer, cv2.BORDER_REPLICATE if _is_person(layer) else cv2.BORDER_CONSTANT
        )
        if layer.motion_blur:
            return blur_motion(np.random.default_rng(layer.motion_blur), image, cut)
        return image, cut

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
    return replace(layer, matrix=moved(layer.matrix, motion))


def _is_person(layer: Layer) -> bool:
    return layer.role is Role.PERSON


class SceneMaker:
    """Makes scenes from image sets.

    Args:
        sources: the sets.
        config: shares of the augmentations.
    """

    def __init__(self, sources: SceneSources, config: AugmentConfig) -> None:
        self._sources = sources
        self._room_weights = sampling_weights(sources.rooms, {}) if sources.rooms else None
        self.config = config

    def make(self, rng: Generator, height: int, width: int) -> Scene:
        if self._sources.rooms and rng.random() < self.config.nobody:
            background = self._room(rng, height, width)
            scene = Scene(height, width, background, (), bool(rng.random() < 0.5), _seed(rng))
        else:
            scene = self._with_people(rng, height, width)
        return self._with_objects(rng, scene)

    def pair(self, rng: Generator, height: int, width: int) -> tuple[Image, Mask]:
        """Make a still image: uint8 (height, width, 3) BGR, and its mask, uint8 (height, width)."""
        return self.make(rng, height, width).render(rng)

    def _with_people(self, rng: Generator, height: int, width: int) -> Scene:
        image_set, image, mask = _draw(rng, self._sources.people, self._sources.weights)
        framing = self._framing(rng)
        coarse = image_set.name in self._sources.coarse
        pasted: list[Layer] = []
        composite = (
            image_set.cutouts
            or image_set.name in self._sources.plain
            or (image_set.labelled and not coarse and rng.random() < self.config.composite)
        )
        if composite and self._sources.rooms:
            background = self._room(rng, height, width)
            pasted.append(self._person(rng, image, mask, framing, height, width))
            while len(pasted) < 3 and rng.random() < self.config.second_person:
                pasted.insert(0, self._other_person(rng, height, width))
        else:
            window = frame_person(rng, mask, width / height, framing, inside=True)
            background = Layer(image, mask, placing(rng, window, height, width))
        scene = Scene(
            height, width, background, tuple(pasted), bool(rng.random() < 0.5), _seed(rng),
            coarse=coarse,
        )  # fmt: skip
        if self._sources.trust is not None:
            scene = replace(
                scene, trust=self._sources.trust[COMPOSITES if pasted else image_set.name]
            )
        if pasted and rng.random() < self.config.camouflage:
            scene = replace(scene, camouflage=_seed(rng))
        if pasted and rng.random() < self.config.backlight:
            scene = replace(scene, backlight=_seed(rng))
        return scene

    def _other_person(self, rng: Generator, height: int, width: int) -> Layer:
        """Place another person beside or far behind the first one."""
        while True:
            image_set, image, mask = _draw(rng, self._sources.people, self._sources.weights)
            if image_set.labelled and image_set.name not in self._sources.coarse:
                break
        framing = Framing.FAR if rng.random() < 0.5 else Framing.ANYWHERE
        return self._person(rng, image, mask, framing, height, width)

    def _with_objects(self, rng: Generator, scene: Scene) -> Scene:
        """Add objects to a scene: behind and in front of its people, or in an empty room."""
        if (
            self._sources.objects is None or scene.trust == 1
        ):  # without a mask, what it hides is unknown
            return scene
        layers = list(scene.pasted)
        main = layers[-1] if layers else scene.background
        box = person_box(main.mask, main.matrix, scene.height, scene.width)
        if rng.random() < self.config.objects:
            for _ in range(1 + int(rng.random() < 0.5)):
                self._put_object(rng, scene, layers, box)
        if box is not None and scene.pasted and rng.random() < self.config.held:
            layers.append(self._object(rng, Place.HELD, box))
        return replace(scene, pasted=tuple(layers))

    def _put_object(
        self, rng: Generator, scene: Scene, layers: list[Layer], box: Box | None
    ) -> None:
        if box is None:  # there is no person to place it by
            side = 0.5 * scene.height
            x, y = rng.uniform(0, scene.width), rng.uniform(0, scene.height)
            anyone = Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
            layers.append(self._object(rng, Place.BEHIND, anyone))
        elif scene.pasted and rng.random() < 0.7:
            place = Place.BEHIND if rng.random() < 0.6 else Place.BESIDE
            layers.insert(0, self._object(rng, place, box))
        else:
            layers.append(self._object(rng, Place.IN_FRONT, box))

    def _object(self, rng: Generator, place: Place, box: Box) -> Layer:
        samples = self._sources.objects.samples if self._sources.objects is not None else ()
        image, mask = read_sample(samples[rng.integers(len(samples))])
        role = Role.HELD if place is Place.HELD else Role.OBJECT
        matrix = place_object(rng, place, (image.shape[0], image.shape[1]), box)
        return Layer(image, mask, matrix, light=_seed(rng), role=role)

    def _framing(self, rng: Generator) -> Framing:
        shares = {
            Framing.WEBCAM: self.config.webcam_framing,
            Framing.CLOSE: self.config.close_framing,
            Framing.WHOLE: self.config.whole_framing,
        }
        number = rng.random()
        for framing, share in shares.items():
            if number < share:
                return framing
            number -= share
        return Framing.ANYWHERE

    def _person(
        self, rng: Generator, image: Image, mask: Mask, framing: Framing, height: int, width: int
    ) -> Layer:
        window = frame_person(rng, mask, width / height, framing, inside=False)
        smeared = rng.random() < self.config.motion_blur
        return Layer(
            image, mask, placing(rng, window, height, width), light=_seed(rng),
            motion_blur=_seed(rng) if smeared else 0,
        )  # fmt: skip

    def _room(self, rng: Generator, height: int, width: int) -> Layer:
        _, image, mask = _draw(rng, self._sources.rooms, self._room_weights)
        window = anywhere(rng, image.shape[0], image.shape[1], width / height)
        blur = rng.uniform(0.8, 5.0) if rng.random() < 0.25 else 0.0
        return Layer(image, mask, placing(rng, window, height, width), blur)


def _draw(
    rng: Generator, sets: Sequence[ImageSet], weights: NDArray[np.float64] | None
) -> tuple[ImageSet, Image, Mask]:
    image_set = sets[rng.choice(len(sets), p=weights)]
    image, mask = read_sample(image_set.draw(rng))
    return image_set, image, shift_edge(mask, image_set.edge)


def _seed(rng: Generator) -> int:
    return int(rng.integers(2**62))


def _paste(
    layer: Layer, canvas: Image, total: Mask, image: Image, cut: Mask, dimming: float
) -> tuple[Image, Mask]:
    """Blend one layer over the canvas and update the mask by the layer's role."""
    alpha = cut.astype(np.float32) * np.float32(1 / 255)
    lit = relight(np.random.default_rng(layer.light), estimate_foreground(image, alpha))
    weight = alpha[..., None]
    mixed = lit * (weight * np.float32(dimming)) + canvas * (1 - weight) + 0.5
    if layer.role is Role.OBJECT:
        total = np.asarray(total * (1 - alpha) + 0.5, np.uint8)
    else:
        total = np.maximum(total, cut)
    return mixed.astype(np.uint8), total
