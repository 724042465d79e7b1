"""The table of the ablations."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("torchvision")

from training import train, train_options
from training.tools import ablate
from training.training_log import TrainingLog


@pytest.mark.parametrize("name", ablate.VARIANTS)
def test_every_variant_is_a_training_that_exists(name: str) -> None:
    app = typer.Typer()
    app.command()(train.main)
    words = ["--data", "D", "--steps", "1", *ablate.VARIANTS[name].options]
    context = typer.main.get_command(app).make_context("train", words)
    train_options.loss_weights(context.params["loss"])
    train_options.framings(context.params["framing"])
    train_options.sizes(context.params["size"])


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace training by one that only writes its scores; the list has the folders it used."""
    folders: list[str] = []

    def pretend(command: list[str], **_: Any) -> None:
        folder = Path(command[command.index("--out") + 1])
        folders.append(folder.name)
        log = TrainingLog(folder)
        log.append(int(command[command.index("--steps") + 1]), {"portraits/iou": 0.9})
        log.close()

    # Not subprocess.run itself: at its first import on a machine matplotlib lists the fonts by it.
    monkeypatch.setattr(ablate, "subprocess", SimpleNamespace(run=pretend))
    return folders


def run(out: Path, *words: str) -> str:
    app = typer.Typer()
    app.command()(ablate.main)
    options = ["--data", "D", "--val", "V", "--init", "I", "--out", str(out), *words]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    return result.output


def test_each_variant_has_a_row_and_is_trained_once(tmp_path: Path, trained: list[str]) -> None:
    shown = run(tmp_path, "--only", "whole", "--only", "seed", "--steps", "5")
    assert trained == ["whole", "seed"]
    assert "| whole recipe | 0.9000 | – |" in shown
    assert (tmp_path / "table.md").read_text() in shown
    run(tmp_path, "--only", "whole", "--only", "bce", "--steps", "5")
    assert trained == ["whole", "seed", "bce"]
    run(tmp_path, "--only", "whole", "--steps", "9")
    assert trained[3:] == ["whole"]


def test_unknown_variants_are_named(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(ablate.main)
    words = ["--data", "D", "--val", "V", "--init", "I", "--out", str(tmp_path), "--only", "magic"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "magic" in result.output
