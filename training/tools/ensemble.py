"""Judge or make masks by an ensemble: the mean of several passes of the shipped network.

    python -m training.tools.ensemble judge --data DATA/train --out agreement.csv
    python -m training.tools.ensemble label --images FOLDER --out DATA/train/own

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

from training.command_line import run as run_command
from training.data.image_sets import SUFFIXES, ImageSet, Sample, find_sets, keep, read_sample
from training.evaluate.metrics import THRESHOLD, segmentation_scores
from training.evaluate.predict import Infer, predict
from vidbg.errors import ConfigError
from vidbg.frame import Alpha, Image
from vidbg.matting.backends import load_backend, parse_engine
from vidbg.matting.video_matting import apply_levels

logger = logging.getLogger(__name__)

SIZES = (64 * 1024, 144 * 1024, 256 * 1024)
"""Sizes of the network's input in pixels; each has one plain and one mirrored pass."""

DIFFERS = 0.35
"""Difference of alpha above which two masks disagree."""

REGION = 0.012
"""Minimum width of a region, as a share of the longer side; less is a shifted edge."""


def ensemble(infer: Infer, image: Image, sizes: Sequence[int] = SIZES) -> tuple[Alpha, Alpha]:
    """Compute the mean alpha of plain and mirrored passes at several sizes, and their spread.

    Returns:
        float32 (H, W) in [0, 1] each: mean and standard deviation over the passes.
    """
    mirrored = np.ascontiguousarray(image[:, ::-1])
    passes = [predict(infer, image, size) for size in sizes]
    passes += [predict(infer, mirrored, size)[:, ::-1] for size in sizes]
    stack = np.stack(passes)
    return np.asarray(stack.mean(axis=0), np.float32), np.asarray(stack.std(axis=0), np.float32)


def mend(mask: Alpha, other: Alpha) -> Alpha:
    """Replace the regions of a mask that differ from another, but keep its edges.

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
    """Read what `judge` wrote: (set, stem of the image) to IoU with the ensemble."""
    with path.open(newline="", encoding="utf-8") as file:
        return {(row["set"], row["name"]): float(row["iou"]) for row in csv.DictReader(file)}


def keep_agreeing(
    image_set: ImageSet, agreement: dict[tuple[str, str], float], least: float
) -> ImageSet:
    """Return the set without images that agree less than `least`; unscored images stay."""
    kept = keep(image_set, lambda s: agreement.get((image_set.name, s.image.stem), 1.0) >= least)
    count, total = len(kept.samples), len(image_set.samples)
    if count < total:
        logger.info("%s: %d of %d images agree", image_set.name, count, total)
    return kept if kept.samples else image_set


app = typer.Typer(help=__doc__, no_args_is_help=True)
Engine = Annotated[str, typer.Option(help="DEVICE:PRECISION.")]


@app.command()
def judge(
    data: Annotated[Path, typer.Option(help="Folder with image sets.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write: set, name, iou.")],
    engine: Engine = "cpu:bf16",
) -> None:
    """Score how well each training mask agrees with the ensemble."""
    with closing(load_backend(*parse_engine(engine))) as backend, out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("set", "name", "iou"))
        for image_set in (s for s in find_sets(data) if s.people and not s.cutouts):
            scores = []
            for sample in image_set.samples:
                image, mask = read_sample(sample)
                alpha, _ = ensemble(backend, image)
                scores.append(segmentation_scores(alpha, np.float32(1 / 255) * mask).iou)
                writer.writerow((image_set.name, sample.image.stem, f"{scores[-1]:.4f}"))
            middle = np.median(scores)
            logger.info("%s: IoU mean %.4f, median %.4f", image_set.name, np.mean(scores), middle)


@app.command()
def label(
    images: Annotated[Path, typer.Option(help="Folder of images of people without masks.")],
    out: Annotated[Path, typer.Option(help="The set to write: images, masks.")],
    most: Annotated[float, typer.Option(help="Spread above which an image is left out.")] = 0.01,
    mend_masks: Annotated[
        Path | None, typer.Option("--mend", help="Folder of masks to mend, not to replace.")
    ] = None,
    engine: Engine = "cpu:bf16",
) -> None:
    """Make a set of images without masks: those that the ensemble's passes agree on.

    The spread of an image is the mean over its pixels of the standard deviation over the passes.
    """
    paths = sorted(p for p in images.iterdir() if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise ConfigError(f"no images in {images}; allowed are {sorted(SUFFIXES)}")
    for kind in ("images", "masks"):
        (out / kind).mkdir(parents=True, exist_ok=True)
    kept = 0
    with closing(load_backend(*parse_engine(engine))) as backend:
        for path in paths:
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
    logger.info("%d of %d images labelled", kept, len(paths))


if __name__ == "__main__":
    run_command(app)
