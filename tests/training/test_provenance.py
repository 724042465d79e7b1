"""Where weights come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from training.provenance import (
    RECIPE,
    each_recipe_once,
    origin,
    read_recipe,
    saw_priors,
    write_mixture,
)
from vidbg.errors import ConfigError


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "net.safetensors"
    file.write_bytes(b"weights")
    return file


def test_weights_of_unknown_origin_are_described_by_hash_only(weights: Path) -> None:
    bare = origin(weights)
    assert bare["file"] == "net.safetensors"
    assert len(bare["sha256"]) == 64
    assert set(bare) == {"file", "sha256"}
    with pytest.raises(ConfigError, match=r"recipe\.json is missing"):
        read_recipe(weights)


def test_a_card_beside_weights_describes_how_they_were_made(weights: Path) -> None:
    card = {"name": "net", "recipe": {"init": None}, "steps": 7, "files": {}}
    weights.with_suffix(".json").write_text(json.dumps(card))
    assert read_recipe(weights) == {"recipe": {"init": None}, "steps": 7}
    assert origin(weights)["steps"] == 7


def test_the_folder_of_a_training_gives_the_step_of_the_best(weights: Path) -> None:
    weights.with_name(RECIPE).write_text('{"init": null}')
    assert read_recipe(weights) == {"recipe": {"init": None}}  # before the first validation
    weights.with_name("log.csv").write_text(
        "step,minutes,score\n10,1.0,0.5\n20,2.04,0.9\n30,3,0.8\n"
    )
    assert read_recipe(weights) == {"recipe": {"init": None}, "steps": 20, "minutes": 2.0}


def test_the_card_of_a_mixture_names_its_parts(weights: Path, tmp_path: Path) -> None:
    weights.with_suffix(".json").write_text('{"recipe": {"training": {"priors": true}}}')
    other, mixed = tmp_path / "other.safetensors", tmp_path / "mixed.safetensors"
    other.write_bytes(b"others")
    write_mixture(mixed, {weights: 0.75, other: 0.25})
    recipe = read_recipe(mixed)["recipe"]
    assert [part["share"] for part in recipe["mixture"]] == [0.75, 0.25]
    assert recipe["mixture"][0]["recipe"] == {"training": {"priors": True}}
    assert saw_priors(recipe)
    assert not saw_priors({"mixture": [recipe["mixture"][1]]})


def test_an_ancestor_is_described_once() -> None:
    first = {"file": "a", "sha256": "1", "recipe": {"init": None}, "steps": 9}
    second = {"file": "b", "sha256": "2", "recipe": {"init": first}}
    named = {"file": "a", "sha256": "1"}
    parts = [{"share": 0.5, **second}, {"share": 0.5, **first}]
    recipe = each_recipe_once({"recipe": {"mixture": parts}})
    assert recipe["recipe"]["mixture"] == [{"share": 0.5, **second}, {"share": 0.5, **named}]
