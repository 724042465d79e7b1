"""Our own network several times over one picture: a slower and better second opinion.

`python -m training.ensemble --data FOLDER --out agreement.csv` scores every picture with people by
how well its mask agrees with that opinion; `training.train --agreement` leaves the worst out.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from training.data import PictureSet, find_sets, read_sample
from training.metrics import segmentation_scores
from training.predict import Infer, predict
from vidbg.frame import Alpha, Image
from vidbg.matting.backends import load_backend, parse_engine

logger = logging.getLogger(__name__)

SIZES = (64 * 1024, 144 * 1024, 256 * 1024)
"""Pixels of the network's input, one pass each way round."""


def ensemble(infer: Infer, image: Image, sizes: Sequence[int] = SIZES) -> tuple[Alpha, Alpha]:
    """Mean alpha of passes at several sizes and mirrored, and where they differ.

    Returns:
        float32 (H, W) in [0, 1] each: the mean, and the standard deviation over the passes.
    """
    mirrored = np.ascontiguousarray(image[:, ::-1])
    passes = [predict(infer, image, size) for size in sizes]
    passes += [predict(infer, mirrored, size)[:, ::-1] for size in sizes]
    stack = np.stack(passes)
    return np.asarray(stack.mean(axis=0), np.float32), np.asarray(stack.std(axis=0), np.float32)


def read_agreement(path: Path) -> dict[tuple[str, str], float]:
    """(set, picture's stem) to its IoU with the ensemble."""
    with path.open(newline="", encoding="utf-8") as file:
        return {(row["set"], row["name"]): float(row["iou"]) for row in csv.DictReader(file)}


def keep_agreeing(
    pictures: PictureSet, agreement: dict[tuple[str, str], float], least: float
) -> PictureSet:
    """The set without the pictures whose mask agrees less; unscored pictures stay."""
    kept = tuple(
        s for s in pictures.samples if agreement.get((pictures.name, s.image.stem), 1.0) >= least
    )
    if len(kept) < len(pictures.samples):
        logger.info("%s: %d of %d pictures agree", pictures.name, len(kept), len(pictures.samples))
    return PictureSet(pictures.name, kept or pictures.samples, pictures.people, pictures.cutouts)


def main(
    data: Annotated[Path, typer.Option(help="Folder with picture sets.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write: set, name, iou.")],
    engine: Annotated[str, typer.Option(help="DEVICE:PRECISION.")] = "cpu:bf16",
) -> None:
    """Score how well each training mask agrees with our own ensemble."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    backend = load_backend(*parse_engine(engine))
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("set", "name", "iou"))
        for pictures in (s for s in find_sets(data) if s.people and not s.cutouts):
            scores = []
            for sample in pictures.samples:
                image, mask = read_sample(sample)
                alpha, _ = ensemble(backend, image)
                scores.append(segmentation_scores(alpha, np.float32(1 / 255) * mask).iou)
                writer.writerow((pictures.name, sample.image.stem, f"{scores[-1]:.4f}"))
            middle = np.median(scores)
            logger.info("%s: IoU mean %.4f, median %.4f", pictures.name, np.mean(scores), middle)
    backend.close()


if __name__ == "__main__":
    typer.run(main)
