"""Image sets on disk and how they are split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")


from training.data.image_sets import (  # noqa: E402
    find_sets,
    keep_decoded,
    read_sample,
    sampling_weights,
    split_by_names,
    split_set,
)
from vidbg.errors import ConfigError  # noqa: E402


def test_sets_are_found_with_their_kinds(sets: Path) -> None:
    image_sets = {s.name: (len(s.samples), s.people, s.cutouts) for s in find_sets(sets)}
    assert image_sets == {
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


def test_decoded_pictures_are_kept_and_the_same(
    sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.data import image_sets as data

    monkeypatch.setattr(data, "_decoded", {})
    image_sets = find_sets(sets)
    fresh = [read_sample(sample) for pictures in image_sets for sample in pictures.samples]
    size = keep_decoded(image_sets, 4)
    assert size == sum(image.nbytes + mask.nbytes for image, mask in fresh)
    for path in sets.rglob("*.*"):
        path.unlink()
    kept = [read_sample(sample) for pictures in image_sets for sample in pictures.samples]
    for pair, expected in zip(kept, fresh, strict=True):
        for array, wanted in zip(pair, expected, strict=True):
            np.testing.assert_array_equal(array, wanted)
            assert not array.flags.writeable
    assert keep_decoded(image_sets, 4) == size


def test_a_missing_mask_is_named(sets: Path) -> None:
    (sets / "people/masks/3.png").unlink()
    with pytest.raises(ConfigError, match=r"1 images .* first 3\.jpg"):
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
    image_sets = find_sets(sets)
    weights = sampling_weights(image_sets, {"people": 30.0})
    assert weights.sum() == pytest.approx(1)
    with pytest.raises(ConfigError, match="nobody"):
        sampling_weights(image_sets, {"nobody": 1.0})
