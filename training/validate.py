"""Scores of a network on held-out picture sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.data import PictureSet, read_sample
from training.metrics import boundary_f, is_false_person, mad, segmentation_scores
from training.predict import Infer, predict
from vidbg.frame import Alpha, Image

Scores = dict[str, float]


def score_picture(alpha: Alpha, truth: Alpha) -> Scores:
    """Every score of a picture that shows people."""
    scores = segmentation_scores(alpha, truth)
    return {
        "iou": scores.iou,
        "precision": scores.precision,
        "recall": scores.recall,
        "f1": scores.f1,
        "boundary_f": boundary_f(alpha, truth),
        "mad": mad(alpha, truth),
    }


def score_set(infer: Infer, pictures: PictureSet, pixels: int) -> Scores:
    """Means over the pictures of a set.

    With people: iou, precision, recall, f1, boundary_f, mad. Without: false_person, the share of
    pictures with more than 1 % called person.
    """
    if not pictures.people:
        alphas = (predict(infer, read_sample(s)[0], pixels) for s in pictures.samples)
        return {"false_person": float(np.mean([is_false_person(alpha) for alpha in alphas]))}
    rows = [score_picture(a, t) for _, a, t in predictions(infer, pictures, pixels)]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def predictions(
    infer: Infer, pictures: PictureSet, pixels: int
) -> Sequence[tuple[Image, Alpha, Alpha]]:
    """(picture, predicted alpha, true alpha) of every sample."""
    out = []
    for sample in pictures.samples:
        image, mask = read_sample(sample)
        out.append((image, predict(infer, image, pixels), np.float32(1 / 255) * mask))
    return out


def summary(scores: dict[str, Scores]) -> float:
    """One number to select weights by: the mean over sets of IoU or (1 - false persons)."""
    return float(
        np.mean([s["iou"] if "iou" in s else 1 - s["false_person"] for s in scores.values()])
    )
