"""Mixtures of weights: their values, and which one is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import typer
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from training.tools import average
from training.tools.average import mix
from vidbg.errors import ConfigError


def weights(value: float) -> dict[str, torch.Tensor]:
    return {
        "conv.weight": torch.full((2, 2), value, dtype=torch.float16),
        "norm.running_var": torch.full((2,), 1000 * value),
    }


def test_a_mixture_lies_between_and_keeps_its_types() -> None:
    mixed = mix(weights(1.0), weights(3.0), 0.25)
    assert mixed["conv.weight"].tolist() == [[1.5, 1.5], [1.5, 1.5]]
    assert mixed["norm.running_var"].tolist() == [1500.0, 1500.0]
    assert (mixed["conv.weight"].dtype, mixed["norm.running_var"].dtype) == (
        torch.float16,
        torch.float32,
    )


def test_other_networks_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"different networks: only one has norm\.running_var"):
        mix(weights(1.0), {"conv.weight": weights(1.0)["conv.weight"]}, 0.5)


def test_the_best_mixture_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scores(file: Path, _data: Path, pixels: int) -> dict[str, dict[str, float]]:
        assert pixels == 86016
        value = float(load_file(file)["conv.weight"][0, 0])
        return {"people": {"iou": 1 - abs(value - 1.5), "boundary_f": 1.0}}

    monkeypatch.setattr(average, "scores_of", scores)
    save_file(weights(1.0), tmp_path / "a")
    save_file(weights(2.0), tmp_path / "b")
    app = typer.Typer()
    app.command()(average.main)
    out = tmp_path / "new" / "c"
    arguments = [tmp_path / "a", tmp_path / "b", "--data", tmp_path, "--out", out]
    outcome = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert outcome.exit_code == 0, outcome.output
    assert outcome.output.startswith("best: 0.5 of ")
    assert load_file(out)["conv.weight"].tolist() == [[1.5, 1.5], [1.5, 1.5]]
    card = json.loads(out.with_name("c.json").read_text())
    assert [part["file"] for part in card["recipe"]["mixture"]] == ["a", "b"]
