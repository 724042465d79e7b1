"""Data sets, augmentation, losses and a whole training in small."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

import typer  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from training.augment import AugmentConfig, PairMaker, Window, _cut, frame_person  # noqa: E402
from training.batches import Batches  # noqa: E402
from training.data import (  # noqa: E402
    find_sets,
    read_sample,
    sampling_weights,
    split_by_names,
    split_set,
)
from training.losses import edge_loss, matting_loss, soft_jaccard_loss  # noqa: E402
from vidbg.errors import ConfigError  # noqa: E402


def test_sets_are_found_with_their_kinds(sets: Path) -> None:
    found = {s.name: (len(s.samples), s.people, s.cutouts) for s in find_sets(sets)}
    assert found == {
        "people": (10, True, False),
        "cutouts": (4, True, True),
        "rooms": (3, False, False),
    }


def test_masks_take_the_pictures_size(sets: Path) -> None:
    for pictures in find_sets(sets):
        image, mask = read_sample(pictures.samples[0])
        assert image.shape == (80, 96, 3)
        assert mask.shape == (80, 96)
        assert bool(mask.any()) == pictures.people


def test_a_missing_mask_is_named(sets: Path) -> None:
    (sets / "people/masks/3.png").unlink()
    with pytest.raises(ConfigError, match=r"1 pictures .* first 3\.jpg"):
        find_sets(sets)


def test_no_data_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="images"):
        find_sets(tmp_path)


def test_split_is_80_to_20_disjoint_and_fixed(sets: Path) -> None:
    people = next(s for s in find_sets(sets) if s.name == "people")
    training, held_out = split_set(people, 0.2, seed=3)
    assert held_out is not None
    assert (len(training.samples), len(held_out.samples)) == (8, 2)
    assert set(training.samples).isdisjoint(held_out.samples)
    assert split_set(people, 0.2, seed=3) == (training, held_out)
    _, listed = split_by_names(people, ["1", "7"])
    assert listed is not None
    assert [s.image.stem for s in listed.samples] == ["1", "7"]


def test_weights_sum_to_one_and_unknown_names_are_refused(sets: Path) -> None:
    found = find_sets(sets)
    weights = sampling_weights(found, {"people": 30.0})
    assert weights.sum() == pytest.approx(1)
    with pytest.raises(ConfigError, match="nobody"):
        sampling_weights(found, {"nobody": 1.0})


def maker(sets: Path, **shares: float) -> PairMaker:
    found = find_sets(sets)
    people = [s for s in found if s.people]
    rooms = [s for s in found if not s.people]
    return PairMaker(people, sampling_weights(people, {}), rooms, AugmentConfig(**shares))


def test_batches_are_a_function_of_seed_and_step(sets: Path) -> None:
    batches = Batches(maker(sets), 4 * 224 * 224, seed=5, length=10)
    first, again, other = batches[4], batches[4], batches[5]
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert first[0].shape[:3] == first[1].shape
    assert first[0].shape != other[0].shape or (first[0] != other[0]).any()


def test_a_picture_of_nobody_has_an_empty_mask(sets: Path) -> None:
    image, mask = maker(sets, nobody=1.0).make(np.random.default_rng(0), 64, 96)
    assert image.shape == (64, 96, 3)
    assert not mask.any()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), inside=st.booleans(), webcam=st.booleans())
def test_windows_never_open_a_side_where_the_person_is_cut(
    seed: int, inside: bool, webcam: bool
) -> None:
    mask = np.zeros((80, 60), np.uint8)
    mask[30:, 20:50] = 255  # cut by the lower side
    window = frame_person(np.random.default_rng(seed), mask, 4 / 3, webcam, inside=inside)
    assert window.y + window.height <= 80 + 1e-6
    assert window.width / window.height == pytest.approx(4 / 3)
    if inside:
        assert window.x >= -1e-6
        assert window.y >= -1e-6
        assert window.x + window.width <= 60 + 1e-6


def test_a_cut_shows_the_window() -> None:
    image = np.tile(np.arange(100, dtype=np.uint8)[None, :, None], (100, 1, 3))
    mask = image[..., 0].copy()
    window = Window(20, 10, 40, 40)
    never = _Upright()
    cut, alpha = _cut(never, image, mask, window, 40, 40, cv2.BORDER_REPLICATE)  # type: ignore[arg-type]
    np.testing.assert_array_equal(cut[..., 0], image[10:50, 20:60, 0])
    np.testing.assert_array_equal(alpha, mask[10:50, 20:60])


class _Upright:
    """A generator that never rotates."""

    def random(self) -> float:
        return 0.99


def test_losses_vanish_at_the_truth_and_grow_with_error() -> None:
    target = torch.zeros(2, 1, 32, 32)
    target[:, :, 8:24, 8:24] = 1
    right, wrong = (target * 2 - 1) * 20, (0.5 - target) * 4
    good = sum(float(v) for v in matting_loss(right, target).values())
    bad = sum(float(v) for v in matting_loss(wrong, target).values())
    assert good < 1e-3 < bad
    soft = target * 0.5
    assert float(soft_jaccard_loss(soft, soft)) == 0
    assert float(edge_loss(soft, soft)) == 0


@pytest.mark.timeout(300)
def test_one_command_trains_logs_and_resumes(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import batches, train

    monkeypatch.setattr(batches, "SIZES", ((64, 64), (32, 64)))
    monkeypatch.setattr(train, "signal", _NoSignals())
    out = tmp_path / "run"
    app = typer.Typer()
    app.command()(train.main)

    def command(steps: int) -> None:
        words = ["--data", sets, "--out", out, "--steps", steps, "--epoch-steps", 2]
        words += ["--batch-pixels", 2 * 64 * 64, "--val-pixels", 128 * 128, "--workers", 0]
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output

    command(2)
    assert (out / "best.safetensors").exists()
    assert (out / "curves.png").exists()
    recipe = json.loads((out / "recipe.json").read_text())
    assert recipe["people"]["people"]["pictures"] == 8
    assert recipe["rooms"] == {"rooms": 2}
    command(4)
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["step"]) for row in rows] == [2, 4]
    for name in ("loss/bce", "people/iou", "people/precision", "people/recall", "people/f1"):
        assert np.isfinite(float(rows[-1][name]))
    assert list((out / "tensorboard").iterdir())


class _NoSignals:
    """Stands in for the signal module: a test must not take over Ctrl-C."""

    SIGINT, SIGTERM = 2, 15

    def signal(self, *_: object) -> None:
        return None
