"""Where weights come from: the recipes that training and averaging write beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from training.training_log import read_log
from vidbg.errors import ConfigError
from vidbg.matting.engines import file_hash

RECIPE = "recipe.json"
"""File beside the weights with the data, augmentation and settings that made them."""

RECIPE_KEYS = ("recipe", "steps", "minutes")
"""Keys of a card that say how the weights were made."""


def read_recipe(weights: Path) -> dict[str, Any]:
    """Read how weights were made: `recipe`, and the `steps` and `minutes` of training.

    It is in the card of the same name beside them, or in the folder that training wrote.

    Raises:
        ConfigError: there is neither.
    """
    card, recipe = weights.with_suffix(".json"), weights.with_name(RECIPE)
    if card.is_file():
        content = json.loads(card.read_text(encoding="utf-8"))
        return {key: content[key] for key in RECIPE_KEYS if key in content}
    if not recipe.is_file():
        raise ConfigError(f"{recipe} is missing; give weights in the folder that training wrote")
    made: dict[str, Any] = {"recipe": json.loads(recipe.read_text(encoding="utf-8"))}
    rows = read_log(weights.with_name("log.csv"))
    if rows:
        best = max(rows, key=lambda row: row["score"])
        made |= {"steps": int(best["step"]), "minutes": round(best["minutes"], 1)}
    return made


def origin(weights: Path) -> dict[str, Any]:
    """Describe a file of weights: name, hash, and how it was made if that is known."""
    try:
        made = read_recipe(weights)
    except ConfigError:
        made = {}
    return {"file": weights.name, "sha256": file_hash(weights), **made}


def each_recipe_once(origins: Any, visited: set[str] | None = None) -> Any:
    """Drop the recipe of a file that was already named, so that a card lists each one once.

    Args:
        origins: what `read_recipe` returns, or a part of it.
        visited: hashes of the files that were named before; updated.
    Returns:
        A new structure of the same form.
    """
    visited = set() if visited is None else visited
    if isinstance(origins, list):
        return [each_recipe_once(part, visited) for part in origins]
    if not isinstance(origins, dict):
        return origins
    hidden = RECIPE_KEYS if origins.get("sha256") in visited else ()
    if "sha256" in origins:
        visited.add(origins["sha256"])
    return {
        key: each_recipe_once(value, visited) for key, value in origins.items() if key not in hidden
    }


def write_mixture(out: Path, parts: dict[Path, float]) -> None:
    """Write the card of weights that are a mixture of others.

    Args:
        parts: share of each file.
    """
    mixture = [{"share": share, **origin(path)} for path, share in parts.items()]
    text = json.dumps({"recipe": {"mixture": mixture}}, indent=2)
    out.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def saw_priors(recipe: dict[str, Any]) -> bool:
    """Return whether a training, or one in a mixture, saw previous alphas."""
    if "mixture" in recipe:
        return any(saw_priors(part.get("recipe", {})) for part in recipe["mixture"])
    return bool(recipe.get("training", {}).get("priors"))
