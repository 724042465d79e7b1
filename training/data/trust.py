"""The share of a teacher's alpha in the targets of each set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from training.data.image_sets import ImageSet
from vidbg.errors import ConfigError

COMPOSITES = "composites"
"""Stands for all scenes with pasted people where shares are given by set."""

TRUST = 0.5
"""Default share along the edges of hand-made masks."""

COARSE_TRUST = 0.9
"""Default share along the edges of coarse masks."""


def trust_by_set(
    sets: Sequence[ImageSet],
    given: Mapping[str, float],
    coarse: Sequence[str],
    plain: Sequence[str],
) -> dict[str, float]:
    """Find the teacher's share of the target in [0, 1] for each set and for COMPOSITES.

    Args:
        given: shares by name; a name covers the set itself and all sets in the folder of that name.
            A closer name wins. By default it is 1 for sets without labels, which take no other,
            COARSE_TRUST for sets with coarse masks, 0 for composites, cut-outs and sets before
            plain backdrops, which always become composites, and TRUST for the rest.
        coarse, plain: names of those sets.
    Raises:
        ConfigError: a name covers no set, or a share is outside [0, 1].
    """
    names = [s.name for s in sets]
    if bad := {n: v for n, v in given.items() if not 0 <= v <= 1}:
        raise ConfigError(f"--trust {bad}: a share must be from 0 to 1")

    # Names that cover nothing are typing errors
    covered = [
        n for n in given if n == COMPOSITES or any(f"{s}/".startswith(f"{n}/") for s in names)
    ]
    if unknown := set(given) - set(covered):
        raise ConfigError(
            f"--trust: no set named {sorted(unknown)}; there are {[COMPOSITES, *names]}"
        )

    # The closest name given, else the default for the set's kind of mask
    trust = {COMPOSITES: given.get(COMPOSITES, 0.0)}
    for image_set in sets:
        usual = TRUST
        if not image_set.labelled:
            usual = 1.0
        elif image_set.name in coarse:
            usual = COARSE_TRUST
        elif image_set.cutouts or image_set.name in plain:
            usual = 0.0
        above = [n for n in given if f"{image_set.name}/".startswith(f"{n}/")]
        share = given[max(above, key=len)] if above else usual
        if share < 1 and not image_set.labelled:
            raise ConfigError(
                f"--trust {image_set.name}={share}: it has no masks, so only 1 will do"
            )
        trust[image_set.name] = share
    return trust
