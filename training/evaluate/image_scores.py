"""All scores of single images, and their means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.data.image_sets import ImageSet, Sample, read_sample
from training.evaluate.metrics import conn, grad, is_false_person, mse, person_share
from training.evaluate.predict import Predict
from training.evaluate.quick_scores import OVERALL, Scores, mean_scores, score_image


@dataclass(frozen=True, slots=True)
class Scored:
    """One image of a set and its scores.

    With people: iou, precision, recall, f1, boundary_f, mad, grey, mse, grad, conn. Without:
    false_person, 0 or 1, and person_share, the share of its pixels called person.
    """

    set_name: str
    sample: Sample
    people: bool
    scores: Scores

    @property
    def badness(self) -> float:
        """How wrong the alpha is, in [0, 1]: 1 - IoU, or the share of pixels called person."""
        return 1 - self.scores["iou"] if self.people else self.scores["person_share"]


def score_images(predict: Predict, sets: Sequence[ImageSet]) -> list[Scored]:
    """Score every image, in the order of the sets."""
    rows = []
    for image_set in sets:
        for sample in image_set.samples:
            image, mask = read_sample(sample)
            alpha, truth = predict(image), np.float32(1 / 255) * mask
            if image_set.people:
                scores = score_image(alpha, truth)
                scores |= {"mse": mse(alpha, truth), "grad": grad(alpha, truth)}
                scores["conn"] = conn(alpha, truth)
            else:
                scores = {"false_person": float(is_false_person(alpha))}
                scores["person_share"] = person_share(alpha)
            rows.append(Scored(image_set.name, sample, image_set.people, scores))
    return rows


def group(rows: Sequence[Scored]) -> dict[str, list[Scored]]:
    """Group rows by set and, under OVERALL, all images with people, if there are any."""
    groups: dict[str, list[Scored]] = {}
    for row in rows:
        groups.setdefault(row.set_name, []).append(row)
    people = [row for row in rows if row.people]
    return groups | ({OVERALL: people} if people else {})


def mean_by_set(rows: Sequence[Scored]) -> dict[str, Scores]:
    """Compute means for each set and, under OVERALL, for all images with people."""
    return {name: mean_scores([row.scores for row in part]) for name, part in group(rows).items()}
