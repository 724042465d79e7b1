"""The image sets that training scenes are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.image_sets import ImageSet, sampling_weights


@dataclass(frozen=True, slots=True)
class SceneSources:
    """Image sets, and what is known about their masks.

    Attributes:
        people: sets that show people.
        weights: float64 (len(people),), how often each set is drawn; sums to 1.
        rooms: sets without people, used as backgrounds and as images of nobody. May be empty.
        objects: cut-outs that show no person, placed behind, beside and in front of people.
        coarse: names of sets whose masks are only roughly right at the edge. They keep their own
            background, and their scenes are marked.
        plain: names of sets in front of plain backdrops. They always get another background, so
            that a network does not learn that people stand in front of plain walls.
        trust: the teacher's share of the target by set, from `trust_by_set`; None for no teacher.
            Sets without masks need a teacher and keep their own background.
    """

    people: Sequence[ImageSet]
    weights: NDArray[np.float64]
    rooms: Sequence[ImageSet] = ()
    objects: ImageSet | None = None
    coarse: Collection[str] = ()
    plain: Collection[str] = ()
    trust: Mapping[str, float] | None = None

    @classmethod
    def of(cls, sets: Sequence[ImageSet], trust: Mapping[str, float] | None = None) -> SceneSources:
        """Sort sets into people and rooms, with the usual sampling weights."""
        people = [s for s in sets if s.people]
        rooms = [s for s in sets if not s.people]
        return cls(people, sampling_weights(people, {}), rooms, trust=trust)

    def all_sets(self) -> list[ImageSet]:
        """Return every set that images are read from."""
        return [*self.people, *self.rooms, *([] if self.objects is None else [self.objects])]

    def recipe(self) -> dict[str, Any]:
        """Describe the sets for the recipe that is kept beside the weights."""
        shares = zip(self.people, self.weights, strict=True)
        return {
            "people": {
                s.name: {"images": len(s.samples), "share": round(float(weight), 4)}
                for s, weight in shares
            },
            "rooms": {s.name: len(s.samples) for s in self.rooms},
            "coarse": list(self.coarse),
            "plain": list(self.plain),
            "edge": {s.name: s.edge for s in self.people if s.edge},
            "objects": None if self.objects is None else len(self.objects.samples),
        }
