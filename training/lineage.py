"""Where weights come from: what training or averaging wrote beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.log import read_log
from vidbg.errors import ConfigError
from vidbg.matting.engines import file_hash

RECIPE = "recipe.json"
"""Beside the weights: the data, the augmentation and the settings that made them."""

MADE = ("recipe", "steps", "minutes")
"""Of a card: how the weights were made."""


def read_recipe(weights: Path) -> dict[str, Any]:
    """How weights were made: `recipe`, and how far training had come, `steps` and `minutes`.

    It stands in the card of the same name beside them, or in the folder that training wrote.

    Raises:
        ConfigError: there is neither.
    """
    card, recipe = weights.with_suffix(".json"), weights.with_name(RECIPE)
    if card.is_file():
        told = json.loads(card.read_text(encoding="utf-8"))
        return {key: told[key] for key in MADE if key in told}
    if not recipe.is_file():
        raise ConfigError(f"{recipe} is missing; take the weights from the folder training wrote")
    made: dict[str, Any] = {"recipe": json.loads(recipe.read_text(encoding="utf-8"))}
    rows = read_log(weights.with_name("log.csv"))
    if rows:
        best = max(rows, key=lambda row: row["score"])
        made |= {"steps": int(best["step"]), "minutes": round(best["minutes"], 1)}
    return made


def origin(weights: Path) -> dict[str, Any]:
    """The file, and how it was made if that is known."""
    try:
        made = read_recipe(weights)
    except ConfigError:
        made = {}
    return {"file": weights.name, "sha256": file_hash(weights), **made}


def told_once(made: Any, told: set[str] | None = None) -> Any:
    """What `read_recipe` gives, with each file's own making told where it is named first alone."""
    told = set() if told is None else told
    if isinstance(made, list):
        return [told_once(part, told) for part in made]
    if not isinstance(made, dict):
        return made
    known = made.get("sha256") in told
    if "sha256" in made:
        told.add(made["sha256"])
    return {
        key: told_once(value, told) for key, value in made.items() if not (known and key in MADE)
    }


def write_mixture(out: Path, parts: dict[Path, float]) -> None:
    """The card of weights mixed of others, in the shares given."""
    mixture = [{"share": share, **origin(path)} for path, share in parts.items()]
    text = json.dumps({"recipe": {"mixture": mixture}}, indent=2)
    out.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def saw_priors(recipe: dict[str, Any]) -> bool:
    """Whether a training, or one of those that were mixed, was shown previous alphas."""
    if "mixture" in recipe:
        return any(saw_priors(part.get("recipe", {})) for part in recipe["mixture"])
    return bool(recipe.get("training", {}).get("priors"))
