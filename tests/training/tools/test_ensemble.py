"""Masks by the ensemble: judged, made and mended."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")


from training.data.image_sets import (  # noqa: E402
    find_sets,
    read_sample,
)
from training.tools import ensemble as training_ensemble  # noqa: E402
from training.tools.ensemble import ensemble, keep_agreeing, mend, read_agreement  # noqa: E402
from vidbg.errors import ConfigError  # noqa: E402
from vidbg.matting.backends.constant import ConstantBackend  # noqa: E402


def test_the_ensemble_is_the_mean_of_its_passes(sets: Path) -> None:
    image, _ = read_sample(find_sets(sets)[0].samples[0])
    levels = iter((0.2, 0.4, 0.6, 0.8))

    def infer(batch: np.ndarray) -> np.ndarray:
        return np.full(batch.shape[2:], next(levels), np.float32)

    mean, spread = ensemble(infer, image, sizes=(128 * 128, 160 * 160))
    assert mean.shape == image.shape[:2]
    np.testing.assert_allclose(mean, 0.5, atol=1e-6)
    np.testing.assert_allclose(spread, np.std([0.2, 0.4, 0.6, 0.8]), atol=1e-6)


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Return an ensemble that takes the upper half of every image for the person."""

    def upper(batch: np.ndarray) -> np.ndarray:
        alpha = np.zeros(batch[0, 0].shape, np.float32)
        alpha[: alpha.shape[0] // 2] = 1
        return alpha

    monkeypatch.setattr(training_ensemble, "load_backend", lambda *_: ConstantBackend(upper))


@pytest.mark.usefixtures("sure")
def test_every_mask_is_judged(sets: Path, tmp_path: Path) -> None:
    training_ensemble.judge(sets, tmp_path / "agreement.csv")
    agreement = read_agreement(tmp_path / "agreement.csv")
    assert set(agreement) == {("people", str(index)) for index in range(10)}
    assert all(0 < iou < 0.6 for iou in agreement.values())


@pytest.mark.usefixtures("sure")
def test_pictures_without_masks_become_a_set(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training_ensemble.label(sets / "rooms/images", tmp_path / "made/own", most=0.2)
    (made,) = find_sets(tmp_path / "made")
    assert made.people
    assert len(made.samples) == 3
    _, mask = read_sample(made.samples[0])
    assert mask[:30].min() == 255
    assert mask[-30:].max() == 0
    levels = cycle((0.9, 0.6))
    unsure = ConstantBackend(lambda batch: np.full(batch.shape[2:], next(levels), np.float32))
    monkeypatch.setattr(training_ensemble, "load_backend", lambda *_: unsure)
    training_ensemble.label(sets / "rooms/images", tmp_path / "none/own", most=0.1)
    assert not list((tmp_path / "none/own/images").iterdir())
    with pytest.raises(ConfigError, match="no images"):
        training_ensemble.label(tmp_path / "made", tmp_path / "other")


def test_a_mended_mask_gets_regions_and_keeps_its_edges() -> None:
    mask, other = np.zeros((200, 100), np.float32), np.zeros((200, 100), np.float32)
    mask[20:180, 30:60] = 1
    other[20:180, 29:62] = 1  # an edge that lies elsewhere
    other[100:130, 62:85] = 1  # a bag
    mended = mend(mask, other)
    assert mended[102:128, 30:83].min() > 0.99
    assert mended[:90].tolist() == mask[:90].tolist()
    assert mended[140:].tolist() == mask[140:].tolist()


@pytest.mark.usefixtures("sure")
def test_masks_are_mended_where_the_ensemble_differs(sets: Path, tmp_path: Path) -> None:
    images, masks = sets / "people/images", sets / "people/masks"
    training_ensemble.label(images, tmp_path / "made/own", most=0.2, mend_masks=masks)
    (made,) = find_sets(tmp_path / "made")
    assert len(made.samples) == 10
    for sample in made.samples:
        _, mended = read_sample(sample)
        half = len(mended) // 2
        assert mended[: half - 9].mean() > 250
        assert mended[half + 9 :].mean() < 40
    with pytest.raises(ConfigError, match="is not an image"):
        training_ensemble.label(images, tmp_path / "no", most=0.2, mend_masks=tmp_path)


def test_pictures_whose_masks_disagree_are_left_out(sets: Path) -> None:
    people = next(s for s in find_sets(sets) if s.name == "people")
    kept = keep_agreeing(people, {("people", "3"): 0.5, ("people", "4"): 0.9}, 0.8)
    assert [s.image.stem for s in kept.samples] == [str(i) for i in range(10) if i != 3]
