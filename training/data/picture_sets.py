"""Picture sets on disk, and how they are split.

A set is a folder with `images/` and, where people are in it, `masks/` of the same file names
(suffixes may differ). Masks are 8-bit, hard or soft, 0 background, 255 person, of any size. A set
without masks holds either cut-outs (pictures with an alpha channel, which is the mask) or
pictures without a person.
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
"""What `keep_decoded` keeps."""

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture; `mask` is None where the picture's own alpha is it, or nobody is in it."""

    image: Path
    mask: Path | None


@dataclass(frozen=True, slots=True)
class PictureSet:
    """Pictures of one origin.

    Attributes:
        name: the folder's path below the root, with `/`; the root's own name for itself.
        people: somebody is in every picture, or may be where `labelled` is False.
        cutouts: the pictures carry alpha and have no background of their own.
        persons: who is in each picture, where `persons.csv` (name, person) beside it says so:
            pictures are then drawn by person, whoever has few as often as whoever has many.
        labelled: masks are known. Without them only a teacher says what the pictures show.
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
        """One of the pictures, at random."""
        if not self.persons:
            return self.samples[rng.integers(len(self.samples))]
        names = sorted(set(self.persons))
        person = names[rng.integers(len(names))]
        theirs = [s for s, who in zip(self.samples, self.persons, strict=True) if who == person]
        return theirs[rng.integers(len(theirs))]


def find_sets(root: Path) -> list[PictureSet]:
    """Every set below a folder (or the folder itself), sorted by name.

    Raises:
        ConfigError: there is none, or a picture lacks its mask.
    """
    folders = sorted(path.parent for path in root.rglob("images") if path.is_dir())
    if not folders:
        raise ConfigError(f"no data in {root}: it needs a folder `images`, with `masks` beside it")
    own = root.resolve().name
    return [_read_set(f, f.relative_to(root).as_posix() if f != root else own) for f in folders]


def find_unlabelled(root: Path) -> list[PictureSet]:
    """Every set below a folder (or the folder itself) as people whose masks are not known.

    Raises:
        ConfigError: there is none, or a set has masks or alpha.
    """
    sets = find_sets(root)
    if known := [s.name for s in sets if s.people]:
        raise ConfigError(f"sets {known} in {root} have masks; give them with the training data")
    return [replace(s, people=True, labelled=False) for s in sets]


def _read_set(folder: Path, name: str) -> PictureSet:
    images = sorted(p for p in (folder / "images").iterdir() if p.suffix.lower() in SUFFIXES)
    if not images:
        raise ConfigError(f"no pictures in {folder / 'images'}; read are {sorted(SUFFIXES)}")
    if not (folder / "masks").is_dir():
        cutouts = _read(images[0], cv2.IMREAD_UNCHANGED).shape[2:] == (4,)
        return PictureSet(name, tuple(Sample(p, None) for p in images), cutouts, cutouts)
    masks = {path.stem: path for path in (folder / "masks").iterdir()}
    missing = [path.name for path in images if path.stem not in masks]
    if missing:
        raise ConfigError(f"{len(missing)} pictures of {folder} have no mask, first {missing[0]}")
    samples = tuple(Sample(p, masks[p.stem]) for p in images)
    return PictureSet(name, samples, True, False, _read_persons(folder, images))


def _read_persons(folder: Path, images: list[Path]) -> tuple[str, ...]:
    """Who is in each picture; empty where the set does not say."""
    path = folder / "persons.csv"
    if not path.is_file():
        return ()
    with path.open(newline="", encoding="utf-8") as file:
        people = {Path(row["name"]).stem: row["person"] for row in csv.DictReader(file)}
    missing = [p.name for p in images if p.stem not in people]
    if missing:
        raise ConfigError(f"{path} lacks {len(missing)} pictures, first {missing[0]}")
    return tuple(people[p.stem] for p in images)


def split_set(
    pictures: PictureSet, fraction: float, seed: int
) -> tuple[PictureSet, PictureSet | None]:
    """Training and validation part, the latter `fraction` of the pictures, chosen by the seed."""
    names = sorted(sample.image.stem for sample in pictures.samples)
    random.Random(f"{seed} {pictures.name}").shuffle(names)
    return split_by_names(pictures, names[: round(len(names) * fraction)])


def split_by_names(
    pictures: PictureSet, validation: Iterable[str]
) -> tuple[PictureSet, PictureSet | None]:
    """Training and validation part, the latter the pictures whose names (stems) are listed."""
    chosen = set(validation)
    training = keep(pictures, lambda sample: sample.image.stem not in chosen)
    held_out = keep(pictures, lambda sample: sample.image.stem in chosen)
    if not training.samples:
        raise ConfigError(f"nothing is left to train on in set {pictures.name!r}")
    return training, held_out if held_out.samples else None


def keep(pictures: PictureSet, wanted: Callable[[Sample], bool]) -> PictureSet:
    """The pictures of a set that are wanted."""
    kept = [index for index, sample in enumerate(pictures.samples) if wanted(sample)]
    return replace(
        pictures,
        samples=tuple(pictures.samples[i] for i in kept),
        persons=tuple(pictures.persons[i] for i in kept) if pictures.persons else (),
    )


def keep_decoded(sets: Iterable[PictureSet], threads: int) -> int:
    """Decode every picture once; `read_sample` then gives the same read-only arrays each time.

    Processes forked from this one share the memory.

    Returns:
        The bytes that all decoded pictures take.
    """
    samples = [s for pictures in sets for s in pictures.samples if s not in _decoded]
    with ThreadPoolExecutor(threads) as pool:
        for sample, arrays in zip(samples, pool.map(read_sample, samples), strict=True):
            for array in arrays:
                array.flags.writeable = False
            _decoded[sample] = arrays
    return sum(array.nbytes for arrays in _decoded.values() for array in arrays)


def read_sample(sample: Sample) -> tuple[Image, Mask]:
    """The picture, uint8 (H, W, 3) BGR, and its mask at the same size (zeros: nobody)."""
    if sample in _decoded:
        return _decoded[sample]
    if sample.mask is not None:
        image = _read(sample.image, cv2.IMREAD_COLOR)
        return image, _at_size(_read(sample.mask, cv2.IMREAD_GRAYSCALE), image)
    image = _read(sample.image, cv2.IMREAD_UNCHANGED)
    if image.ndim == 3 and image.shape[2] == 4:
        return np.ascontiguousarray(image[..., :3]), np.ascontiguousarray(image[..., 3])
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return image, np.zeros(image.shape[:2], np.uint8)


def _at_size(mask: Mask, image: Image) -> Mask:
    if mask.shape == image.shape[:2]:
        return mask
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.resize(mask, size), np.uint8)


def _read(path: Path, flags: int) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path), flags)
    if picture is None:
        raise ConfigError(f"{path} is not a picture that OpenCV reads")
    return np.asarray(picture, np.uint8)


def sampling_weights(
    sets: Sequence[PictureSet], overrides: dict[str, float]
) -> NDArray[np.float64]:
    """How often each set is drawn: the square root of its size, unless given by name; sums to 1.

    Few people stand behind some large sets; the square root keeps them from leading.
    """
    unknown = set(overrides) - {pictures.name for pictures in sets}
    if unknown:
        raise ConfigError(f"no set named {sorted(unknown)}; there are {[s.name for s in sets]}")
    weights = np.array([overrides.get(s.name, len(s.samples) ** 0.5) for s in sets], np.float64)
    return np.asarray(weights / weights.sum())
