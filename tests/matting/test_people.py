"""The main person of several."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vidbg.config import MattingConfig
from vidbg.errors import ConfigError
from vidbg.frame import Alpha
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.people import HOLD, MainPerson
from vidbg.matting.video_matting import VideoMatting

Box = tuple[int, int, int, int]
NEAR: Box = (40, 200, 20, 160)
FAR: Box = (60, 140, 250, 290)


def alpha_of(*boxes: Box) -> Alpha:
    """People with soft edges in 216 x 384."""
    alpha = np.zeros((216, 384), np.float32)
    for top, bottom, left, right in boxes:
        for step, value in enumerate((0.2, 0.6, 1.0)):
            alpha[top + step : bottom - step, left + step : right - step] = value
    return alpha


def test_the_others_are_left_out_with_their_soft_edges() -> None:
    result = MainPerson()(alpha_of(NEAR, FAR))
    np.testing.assert_array_equal(result, alpha_of(NEAR))


@pytest.mark.parametrize("boxes", [(), (NEAR,), ((0, 216, 0, 384),)])
def test_one_person_or_none_stays_as_it_is(boxes: tuple[Box, ...]) -> None:
    np.testing.assert_array_equal(MainPerson()(alpha_of(*boxes)), alpha_of(*boxes))


def test_a_hand_beside_the_person_is_a_part() -> None:
    hand = (60, 90, 163, 190)
    np.testing.assert_array_equal(MainPerson()(alpha_of(NEAR, hand)), alpha_of(NEAR, hand))


def test_the_person_stays_the_one_until_another_is_clearly_larger() -> None:
    main = MainPerson()
    first, second = (40, 140, 20, 120), (40, 140, 200, 300)
    main(alpha_of(first))
    slightly = (40, 160, 200, 305)
    np.testing.assert_array_equal(main(alpha_of(first, slightly)), alpha_of(first))
    np.testing.assert_array_equal(main(alpha_of(second, first)), alpha_of(first))
    clearly = (20, 20 + round(100 * HOLD) + 20, 200, 310)
    np.testing.assert_array_equal(main(alpha_of(first, clearly)), alpha_of(clearly))
    np.testing.assert_array_equal(main(alpha_of(first, second)), alpha_of(second))


def test_the_main_person_is_remembered_over_a_short_absence_but_not_a_reset() -> None:
    main = MainPerson()
    main(alpha_of(FAR))
    main(alpha_of())
    slightly = (60, 150, 20, 65)
    np.testing.assert_array_equal(main(alpha_of(FAR, slightly)), alpha_of(FAR))
    main.reset()
    np.testing.assert_array_equal(main(alpha_of(FAR, slightly)), alpha_of(slightly))


def everybody(batch: NDArray[np.float32]) -> Alpha:
    return alpha_of(NEAR, FAR)[:, : batch.shape[3]]


@pytest.mark.parametrize(("config", "sides"), [("all", [1, 1]), ("main", [1, 0])])
def test_matting_keeps_the_configured_people(config: str, sides: list[int]) -> None:
    with VideoMatting(
        backend=ConstantBackend(lambda batch: np.pad(everybody(batch), ((0, 8), (0, 0)))),
        config=MattingConfig(people="main" if config == "main" else "all", refine=False),
    ) as matter:
        alpha = matter(np.zeros((720, 1280, 3), np.uint8))
    scale = 720 / 216
    observed = [alpha[round(100 * scale), round(x * scale)] for x in (90, 270)]
    assert observed == sides


def test_other_policies_are_refused() -> None:
    with pytest.raises(ConfigError, match="choose from all, main"):
        MattingConfig(people="nearest")  # type: ignore[arg-type]
