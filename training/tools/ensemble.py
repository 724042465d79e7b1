"""A slower and better second opinion: the mean of several passes of our own network.

    python -m training.tools.ensemble judge --data DATA/train --out agreement.csv
    python -m training.tools.ensemble label --pictures FOLDER --out DATA/train/own

`judge` scores how well the mask of every image with people agrees with the ensemble;
`training.train --agreement` leaves out the worst. `label` makes a set from images without masks:
those on which the passes agree. With `--mend MASKS` it keeps the masks in that folder, except for
whole regions that the ensemble sees differently, such as a bag.
"""

from __future__ import annotations

import csv
import logging
import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from training.data.picture_sets import SUFFIXES, PictureSet, Sample, find_sets, keep, read_sample
from training.evaluate.metrics import THRESHOLD, segmentation_scores
from training.evaluate.predict import Infer, predict
from vidbg.errors import ConfigError
from vidbg.frame import Alpha, Image
from vidbg.matting.backends import load_backend, parse_engine
from vidbg.matting.video_matting import apply_levels

logger = logging.getLogger(__name__)

SIZES = (64 * 1024, 144 * 1024, 256 * 1024)
"""Pixels of the network's input, one pass each way round."""

DIFFERS = 0.35
"""Masks that differ by more are of two opinions."""

REGION = 0.012
"""Width of what is a region, not an edge that lies elsewhere, of a picture's longer side."""


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


def mend(mask: Alpha, other: Alpha) -> Alpha:
    """A mask with another's regions where both differ, but with its own edges.

    Args:
        mask, other: float32 (H, W) in [0, 1].
    Returns:
        float32 (H, W) in [0, 1].
    """
    width = max(3, round(REGION * max(mask.shape)) | 1)
    ellipse = cv2.MORPH_ELLIPSE
    differ = (np.abs(mask - other) > DIFFERS).astype(np.float32)
    regions = cv2.morphologyEx(
        differ, cv2.MORPH_OPEN, cv2.getStructuringElement(ellipse, (width, width))
    )
    grown = cv2.dilate(regions, cv2.getStructuringElement(ellipse, (width + 2, width + 2)))
    share = cv2.GaussianBlur(grown, (0, 0), 1.0)
    return np.asarray(mask + share * (other - mask), np.float32)


def read_agreement(path: Path) -> dict[tuple[str, str], float]:
    """(set, picture's stem) to its IoU with the ensemble."""
    with path.open(newline="", encoding="utf-8") as file:
        return {(row["set"], row["name"]): float(row["iou"]) for row in csv.DictReader(file)}


def keep_agreeing(
    pictures: PictureSet, agreement: dict[tuple[str, str], float], least: float
) -> PictureSet:
    """The set without the pictures whose mask agrees less; unscored pictures stay."""
    kept = keep(pictures, lambda s: agreement.get((pictures.name, s.image.stem), 1.0) >= least)
    count, total = len(kept.samples), len(pictures.samples)
    if count < total:
        logger.info("%s: %d of %d pictures agree", pictures.name, count, total)
    return kept if kept.samples else pictures


app = typer.Typer(help=__doc__, no_args_is_help=True)
Engine = Annotated[str, typer.Option(help="DEVICE:PRECISION.")]


@app.command()
def judge(
    data: Annotated[Path, typer.Option(help="Folder with picture sets.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write: set, name, iou.")],
    engine: Engine = "cpu:bf16",
) -> None:
    """Score how well each training mask agrees with the ensemble."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with closing(load_backend(*parse_engine(engine))) as backend, out.open("w", newline="") as file:
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


@app.command()
def label(
    pictures: Annotated[Path, typer.Option(help="Folder of pictures of people without masks.")],
    out: Annotated[Path, typer.Option(help="The set to write: images, masks.")],
    most: Annotated[float, typer.Option(help="Spread above which a picture is left out.")] = 0.01,
    mend_masks: Annotated[
        Path | None, typer.Option("--mend", help="Folder of masks to mend, not to replace.")
    ] = None,
    engine: Engine = "cpu:bf16",
) -> None:
    """Make a set of pictures without masks: those that the ensemble's passes agree on.

    The spread of a picture is the mean over its pixels of the standard deviation over the passes.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    found = sorted(p for p in pictures.iterdir() if p.suffix.lower() in SUFFIXES)
    if not found:
        raise ConfigError(f"no pictures in {pictures}; read are {sorted(SUFFIXES)}")
    for kind in ("images", "masks"):
        (out / kind).mkdir(parents=True, exist_ok=True)
    kept = 0
    with closing(load_backend(*parse_engine(engine))) as backend:
        for path in found:
            given = None if mend_masks is None else mend_masks / f"{path.stem}.png"
            image, mask = read_sample(Sample(path, given))
            alpha, spread = ensemble(backend, image)
            if not (alpha > THRESHOLD).any() or float(spread.mean()) > most:
                continue
            kept += 1
            shutil.copy2(path, out / "images" / path.name)
            alpha = apply_levels(alpha)
            if given is not None:
                alpha = mend(np.float32(1 / 255) * mask, alpha)
            written = np.rint(alpha * 255).astype(np.uint8)
            cv2.imwrite(str(out / "masks" / f"{path.stem}.png"), written)
    logger.info("%d of %d pictures labelled", kept, len(found))


if __name__ == "__main__":
    app()
