"""Scores of a network on held-out image sets that are fast enough for use during training."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from training.data.image_sets import ImageSet, Mask, read_sample
from training.evaluate.metrics import (
    boundary_f,
    grey_interior,
    is_false_person,
    mad,
    segmentation_scores,
)
from training.evaluate.predict import Infer, predict
from vidbg.frame import Alpha

Scores = dict[str, float]

OVERALL = "overall"
"""Key of the mean over all, beside the names of sets or clips."""


def score_image(alpha: Alpha, truth: Alpha) -> Scores:
    """Compute the quick scores of an image that shows people."""
    scores = segmentation_scores(alpha, truth)
    return {
        "iou": scores.iou,
        "precision": scores.precision,
        "recall": scores.recall,
        "f1": scores.f1,
        "boundary_f": boundary_f(alpha, truth),
        "mad": mad(alpha, truth),
        "grey": grey_interior(alpha, truth),
    }


def score_set(infer: Infer, image_set: ImageSet, pixels: int) -> Scores:
    """Compute means over the images of a set.

    With people: iou, precision, recall, f1, boundary_f, mad, grey. Without: false_person, the share
    of images with more than 1 % called person.
    """

    def score(alpha: Alpha, mask: Mask) -> Scores:
        if image_set.people:
            return score_image(alpha, np.float32(1 / 255) * mask)
        return {"false_person": float(is_false_person(alpha))}

    rows = []
    with ThreadPoolExecutor() as pool:  # scores take longer than a GPU's alpha
        for sample in image_set.samples:
            image, mask = read_sample(sample)
            rows.append(pool.submit(score, predict(infer, image, pixels), mask))
    return mean_scores([row.result() for row in rows])


def mean_scores(rows: list[Scores]) -> Scores:
    """Compute the mean of each score; all rows must have the same scores."""
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def summary(scores: dict[str, Scores]) -> float:
    """Compute the number by which weights are selected.

    It is the mean of IoU and boundary F over the sets with people, minus a twentieth of the mean
    share of false persons. So mattes matter most, and rooms taken for people still count.
    """
    people = [(s["iou"] + s["boundary_f"]) / 2 for s in scores.values() if "iou" in s]
    nobody = [s["false_person"] for s in scores.values() if "false_person" in s]
    quality = float(np.mean(people)) if people else 0.0
    return quality - (0.05 * float(np.mean(nobody)) if nobody else 0.0)
