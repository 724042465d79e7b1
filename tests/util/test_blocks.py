"""Blocks of an image: every pixel of the chosen ones, and no other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidbg.util import blocks
from vidbg.util.blocks import blocks_of, runs_of

SIDES = st.integers(1, 70)


def chosen_blocks(height: int, width: int, side: int, seed: int) -> NDArray[np.bool_]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 1, (-(-height // side), -(-width // side))) < rng.uniform()


def covered(chosen: NDArray[np.bool_], side: int, height: int, width: int) -> NDArray[np.bool_]:
    return np.kron(chosen, np.ones((side, side), np.bool_))[:height, :width]


@settings(max_examples=60)
@given(SIDES, SIDES, st.integers(1, 16), st.integers(0, 2**32 - 1), st.sampled_from([(), (3,)]))
def test_pixels_taken_from_blocks_can_be_put_back(
    height: int, width: int, side: int, seed: int, colours: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    kind: type[Any] = np.uint8 if colours else np.float32
    picture = rng.integers(1, 256, (height, width, *colours)).astype(kind)
    chosen = chosen_blocks(height, width, side, seed)
    copied, counted = np.zeros_like(picture), np.zeros(height * width, np.bool_)
    for part in blocks_of(chosen, side, (height, width)):
        taken = part.take(picture)
        np.testing.assert_array_equal(
            taken, picture.reshape(height * width, *colours)[part.indices()]
        )
        part.put(copied, taken)
        counted[part.indices()] = True
    inside = covered(chosen, side, height, width)
    assert counted.reshape(height, width)[inside].all()
    np.testing.assert_array_equal(copied[inside], picture[inside])
    # what is more lies in blocks that were moved in from the right or lower border
    assert not copied[: height - side, : width - side][
        ~inside[: height - side, : width - side]
    ].any()


def test_many_blocks_come_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "CHUNK", 10)
    parts = list(blocks_of(np.ones((5, 5), np.bool_), 4, (20, 20)))
    assert [len(part.rows) for part in parts] == [10, 10, 5]
    indices = np.concatenate([part.indices().ravel() for part in parts])
    np.testing.assert_array_equal(np.sort(indices), np.arange(400))


@settings(max_examples=60)
@given(SIDES, SIDES, st.integers(1, 16), st.integers(0, 2**32 - 1))
def test_runs_cover_the_chosen_blocks_once(height: int, width: int, side: int, seed: int) -> None:
    chosen = chosen_blocks(height, width, side, seed)
    count = np.zeros((height, width), int)
    for part in runs_of(chosen, side):
        count[part] += 1
    np.testing.assert_array_equal(count, covered(chosen, side, height, width))
