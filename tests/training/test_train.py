"""A small but complete training, its schedule, averaging and options."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

import typer  # noqa: E402
from typer.testing import CliRunner, Result  # noqa: E402

from training.evaluate.quick_scores import summary  # noqa: E402
from training.losses.matting_loss import (  # noqa: E402
    WEIGHTS,
)
from training.schedule import FLOOR, Plateau, cosine, warmup  # noqa: E402
from training.trainer import training_format, warm_ema  # noqa: E402


def test_the_average_starts_short_and_ends_at_its_configured_length() -> None:
    update = warm_ema(0.99)
    averaged = [torch.zeros(())]
    lags = {}
    for count in range(1001):
        update(averaged, [torch.tensor(float(count))], count)
        lags[count] = count - float(averaged[0])
    assert lags[1] < 1
    assert lags[100] == pytest.approx(100 / 4, rel=0.05)
    assert lags[1000] == pytest.approx(0.99 / 0.01, rel=0.05)


def test_depthwise_networks_train_contiguously_on_cuda_alone() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert training_format("light", cuda) is torch.contiguous_format
    assert training_format("light", cpu) is torch.channels_last
    assert training_format("resnet50", cuda) is torch.channels_last


def test_schedules() -> None:
    assert [warmup(0, 4), warmup(3, 4), warmup(9, 4)] == [0.25, 1, 1]
    assert (cosine(0), cosine(1), cosine(2)) == pytest.approx((1, FLOOR, FLOOR))
    plateau = Plateau(wait=2)
    for gained in (True, False, False, False, True, False):
        plateau.update(gained)
    assert plateau.factor == 0.5


def test_weights_are_chosen_by_mattes_first_and_false_persons_second() -> None:
    good = {"people": {"iou": 0.97, "boundary_f": 0.93}, "rooms": {"false_person": 0.0}}
    worse = {"people": {"iou": 0.96, "boundary_f": 0.92}, "rooms": {"false_person": 0.0}}
    false = {"people": {"iou": 0.97, "boundary_f": 0.93}, "rooms": {"false_person": 0.3}}
    assert summary(good) > summary(worse) > summary(false)
    assert summary({"rooms": {"false_person": 0.0}}) == 0


def run_training(sets: Path, out: Path, *options: object) -> Result:
    from training import train

    app = typer.Typer()
    app.command()(train.main)
    words = ["--data", sets, "--out", out, "--epoch-steps", 2, "--device", "cpu", "--workers", 0]
    words += ["--batch-pixels", 2 * 64 * 64, "--val-pixels", 128 * 128, *options]
    return CliRunner().invoke(app, [str(word) for word in words])


SMALL = ("--size", "64x64", "--size", "32x64")


@pytest.mark.timeout(300)
def test_one_command_trains_logs_and_resumes(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import train
    from training.data import image_sets as data

    monkeypatch.setattr(train, "signal", _NoSignals())
    monkeypatch.setattr(data, "_decoded", {})
    out = tmp_path / "run"
    how = (*SMALL, "--priors", "--clips", 0.5, "--train-stem", "--in-memory")
    result = run_training(sets, out, "--steps", 2, *how)
    assert result.exit_code == 0, result.output
    assert (out / "best.safetensors").exists()
    assert (out / "last.safetensors").exists()
    assert (out / "curves.png").exists()
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["people"]["people"]["images"] == 8
    assert recipe["rooms"] == {"rooms": 2}
    result = run_training(sets, out, "--steps", 4, *how)
    assert result.exit_code == 0, result.output
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["step"]) for row in rows] == [2, 4]
    assert 0 < float(rows[0]["minutes"]) < float(rows[1]["minutes"])
    for name in ("loss/bce", "people/iou", "people/precision", "people/recall", "people/f1"):
        assert np.isfinite(float(rows[-1][name]))
    assert list((out / "tensorboard").iterdir())


@pytest.mark.timeout(300)
def test_a_score_of_nothing_keeps_the_first_weights(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import train, trainer

    monkeypatch.setattr(train, "signal", _NoSignals())
    monkeypatch.setattr(trainer, "summary", lambda _: 0.0)
    result = run_training(sets, tmp_path / "run", "--steps", 2, "--network", "light", *SMALL)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "run" / "best.safetensors").exists()


@pytest.mark.timeout(300)
def test_the_seed_network_trains_by_its_own_recipe(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import train

    monkeypatch.setattr(train, "signal", _NoSignals())
    losses = [f"{name}=0" for name in WEIGHTS if name != "bce"]
    options = [word for item in losses for word in ("--loss", item)]
    result = run_training(
        sets, tmp_path / "seed", "--steps", 2, "--size", "64x64", "--network", "seed",
        "--schedule", "plateau", "--weight-decay", 0, *options,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    with (tmp_path / "seed/log.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert "loss/bce" in row
    assert "loss/l1" not in row


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--steps or --minutes"),
        (("--steps", 1, "--network", "other"), "unknown network 'other'"),
        (("--steps", 1, "--schedule", "linear"), "unknown schedule 'linear'"),
        (("--steps", 1, "--loss", "dice=1"), "unknown term"),
        (("--steps", 1, "--loss", "bce"), "NAME=NUMBER"),
        (("--steps", 1, "--framing", "near=1"), "unknown framing"),
        (("--steps", 1, "--framing", "webcam=0.9"), "sum to at most 1"),
        (("--steps", 1, "--size", "100x64"), "multiples of 32"),
        (("--steps", 1, "--size", "big"), "HEIGHTxWIDTH"),
        (("--steps", 1, "--without", "nobody"), "no set named"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    sets: Path, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    result = run_training(sets, tmp_path / "run", *options)
    assert result.exit_code != 0
    assert message in result.output + str(result.exception)
    assert not (tmp_path / "run").exists()


class _NoSignals:
    """Stands in for the signal module: a test must not take over Ctrl-C."""

    SIGINT, SIGTERM = 2, 15

    def signal(self, *_: object) -> None:
        return None
