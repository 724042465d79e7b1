"""Image sets on disk, and how they are split.

A set is a folder with `images/` and, if it shows people, `masks/` with the same file names
(suffixes may differ). Masks are 8-bit, hard or soft, of any size; 0 is background, 255 is person.
A set without masks has either cut-outs (images whose alpha channel is the mask) or images without
people.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vidbg.errors import ConfigError
from vidbg.frame import Image

Mask = NDArray[np.uint8]
"""uint8 (H, W), 0 background, 255 person."""

_decoded: dict[Sample, tuple[Image, Mask]] = {}
"""The images that `keep_decoded` holds in memory."""

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One image; `mask` is None if the image has its own alpha or shows nobody."""

    image: Path
    mask: Path | None


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Images from one source.

    Attributes:
        name: the folder's path below the root, with `/`; the root's own name for the root.
        people: whether every image shows a person, or may show one if `labelled` is False.
        cutouts: whether the images have alpha and no background.
        persons: who is in each image, from `persons.csv` (columns name and person) in the folder.
            Images are then drawn by person, so that everybody is drawn equally often.
        labelled: whether masks are known. If not, a teacher has to provide them.
        edge: how far training moves the masks' edges outwards; see `mask_edges.shift_edge`.
    """

    name: str
    samples: tuple[Sample, ...]
    people: bool
    cutouts: bool
    persons: tuple[str, ...] = ()
    labelled: bool = True
    edge: float = 0.0

    def draw(self, rng: Generator) -> Sample:
        """Draw one of the images at random."""
        if not self.persons:
            return self.samples[rng.integers(len(self.samples))]
        names = sorted(set(self.persons))
        person = names[rng.integers(len(names))]
        theirs = [s for s, who in zip(self.samples, self.persons, strict=True) if who == person]
        return theirs[rng.integers(len(theirs))]


def find_sets(root: Path) -> list[ImageSet]:
    """Find all sets below a folder, or the folder itself, sorted by name.

    Raises:
        ConfigError: there is no set, or an image has no mask.
    """
    folders = sorted(path.parent for path in root.rglob("images") if path.is_dir())
    if not folders:
        raise ConfigError(
            f"no image set in {root}; it needs a folder `images`, and `masks` if it shows people"
        )
    own = root.resolve().name
    return [_read_set(f, f.relative_to(root).as_posix() if f != root else own) for f in folders]


def find_unlabelled(root: Path) -> list[ImageSet]:
    """Find all sets below a folder, or the folder itself, as people whose masks are unknown.

    Raises:
        ConfigError: there is no set, or one has masks or alpha.
    """
    sets = find_sets(root)
    if known := [s.name for s in sets if s.people]:
        raise ConfigError(f"sets {known} in {root} have masks; give them with the training data")
    return [replace(s, people=True, labelled=False) for s in sets]


def _read_set(folder: Path, name: str) -> ImageSet:
    images = sorted(p for p in (folder / "images").iterdir() if p.suffix.lower() in SUFFIXES)
    if not images:
        raise ConfigError(f"no images in {folder / 'images'}; allowed are {sorted(SUFFIXES)}")
    if not (folder / "masks").is_dir():
        cutouts = _read(images[0], cv2.IMREAD_UNCHANGED).shape[2:] == (4,)
        return ImageSet(name, tuple(Sample(p, None) for p in images), cutouts, cutouts)
    masks = {path.stem: path for path in (folder / "masks").iterdir()}
    missing = [path.name for path in images if path.stem not in masks]
    if missing:
        raise ConfigError(f"{len(missing)} images of {folder} lack a mask, first {missing[0]}")
    samples = tuple(Sample(p, masks[p.stem]) for p in images)
    return ImageSet(name, samples, True, False, _read_persons(folder, images))


def _read_persons(folder: Path, images: list[Path]) -> tuple[str, ...]:
    """Read who is in each image; empty if the set does not say."""
    path = folder / "persons.csv"
    if not path.is_file():
        return ()
    with path.open(newline="", encoding="utf-8") as file:
        people = {Path(row["name"]).stem: row["person"] for row in csv.DictReader(file)}
    missing = [p.name for p in images if p.stem not in people]
    if missing:
        raise ConfigError(f"{path} lacks {len(missing)} images, first {missing[0]}")
    return tuple(people[p.stem] for p in images)


def split_set(image_set: ImageSet, fraction: float, seed: int) -> tuple[ImageSet, ImageSet | None]:
    """Split a set into training and validation, the latter a random `fraction` of the images."""
    names = sorted(sample.image.stem for sample in image_set.samples)
    random.Random(f"{seed} {image_set.name}").shuffle(names)
    return split_by_names(image_set, names[: round(len(names) * fraction)])


def split_by_names(
    image_set: ImageSet, validation: Iterable[str]
) -> tuple[ImageSet, ImageSet | None]:
    """Split a set into training and validation, the latter the images with the given stems."""
    chosen = set(validation)
    training = keep(image_set, lambda sample: sample.image.stem not in chosen)
    held_out = keep(image_set, lambda sample: sample.image.stem in chosen)
    if not training.samples:
        raise ConfigError(f"set {image_set.name!r} has no images left for training")
    return training, held_out if held_out.samples else None


def keep(image_set: ImageSet, wanted: Callable[[Sample], bool]) -> ImageSet:
    """Return the set with only the wanted images."""
    kept = [index for index, sample in enumerate(image_set.samples) if wanted(sample)]
    return replace(
        image_set,
        samples=tuple(image_set.samples[i] for i in kept),
        persons=tuple(image_set.persons[i] for i in kept) if image_set.persons else (),
    )


def keep_decoded(sets: Iterable[ImageSet], threads: int) -> int:
    """Decode every image once; `read_sample` then returns these read-only arrays.

    Processes that are forked later share the memory.

    Returns:
        Size of all decoded images in bytes.
    """
    samples = [s for image_set in sets for s in image_set.samples if s not in _decoded]
    with ThreadPoolExecutor(threads) as pool:
        for sample, arrays in zip(samples, pool.map(read_sample, samples), strict=True):
            for array in arrays:
                array.flags.writeable = False
            _decoded[sample] = arrays
    return sum(array.nbytes for arrays in _decoded.values() for array in arrays)


def read_sample(sample: Sample) -> tuple[Image, Mask]:
    """Read an image, uint8 (H, W, 3) BGR, and its mask at the same size; zeros if nobody."""
    if sample in _decoded:
        return _decoded[sample]
    if sample.mask is not None:
        image, mask = (
            _read(sample.image, cv2.IMREAD_COLOR),
            _read(sample.mask, cv2.IMREAD_GRAYSCALE),
        )
        if mask.shape != image.shape[:2]:
            mask = np.asarray(cv2.resize(mask, (image.shape[1], image.shape[0])), np.uint8)
        return image, mask
    image = _read(sample.image, cv2.IMREAD_UNCHANGED)
    if image.ndim == 3 and image.shape[2] == 4:
        return np.ascontiguousarray(image[..., :3]), np.ascontiguousarray(image[..., 3])
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return image, np.zeros(image.shape[:2], np.uint8)


def _read(path: Path, flags: int) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), flags)
    if image is None:
        raise ConfigError(f"{path} is not an image that OpenCV can read")
    return np.asarray(image, np.uint8)


def sampling_weights(sets: Sequence[ImageSet], overrides: dict[str, float]) -> NDArray[np.float64]:
    """Compute how often each set is drawn: by the square root of its size, unless given by name.

    Some large sets show few people; the square root keeps them from dominating.

    Returns:
        float64 (len(sets),); sums to 1.
    """
    unknown = set(overrides) - {image_set.name for image_set in sets}
    if unknown:
        raise ConfigError(f"no set named {sorted(unknown)}; choose from {[s.name for s in sets]}")
    weights = np.array([overrides.get(s.name, len(s.samples) ** 0.5) for s in sets], np.float64)
    return np.asarray(weights / weights.sum())
