"""Automatic framing: its target, no jumps, and no movement while a person sits still."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidbg.frame import Alpha
from vidbg.picture.auto_frame import FOLLOW_RATE, HEADROOM, HOLD_S, MAX_PULL, MAX_ZOOM, AutoFrame
from vidbg.picture.crop import FULL_CROP, Crop

HEIGHT, WIDTH = 180, 320
SPEED = FOLLOW_RATE * MAX_PULL / 2
"""Maximum speed of each spring: shares of the frame per second, and e-foldings of the size."""

Person = tuple[float, float, float] | None
"""Centre of the head in shares of the frame's height (x, y), and the head's height; or nobody."""


def drawn(person: Person, view: Crop) -> Alpha:
    """Draw a head and a body with shoulders, as far as a view shows them."""
    if person is None:
        return np.zeros((HEIGHT, WIDTH), np.float32)
    x, y, head = person
    across = (view.x + (np.arange(WIDTH) + 0.5 - WIDTH / 2) / WIDTH * view.size) * WIDTH / HEIGHT
    down = (view.y + (np.arange(HEIGHT) + 0.5 - HEIGHT / 2) / HEIGHT * view.size)[:, None]
    skull = ((across - x) / (0.38 * head)) ** 2 + ((down - y) / (0.5 * head)) ** 2 < 1
    body = (np.abs(across - x) < 1.1 * head) & (down > y + 0.75 * head)
    neck = (np.abs(across - x) < 0.2 * head) & (down > y)
    return (skull | body | neck).astype(np.float32)


def views(people: Iterable[Person], interval_s: float = 1 / 30) -> list[Crop]:
    """Return the view of each frame; each frame's alpha is what that view shows."""
    framing, shown = AutoFrame(), []
    for number, person in enumerate(people):
        view = framing.crop(number * interval_s)
        framing.follow(drawn(person, view), view, HEIGHT, WIDTH)
        shown.append(view)
    return shown


def top_and_middle(person: tuple[float, float, float], view: Crop) -> tuple[float, float]:
    """Where in the view the head begins, and where its middle is across."""
    x, y, head = person
    top = (y - head / 2 - view.y) / view.size + 0.5
    return top, (x * HEIGHT / WIDTH - view.x) / view.size + 0.5


@pytest.mark.parametrize(
    "person", [(0.4, 0.45, 0.12), (0.9, 0.5, 0.14), (1.4, 0.4, 0.1), (0.9, 0.35, 0.2)]
)
def test_it_frames_head_and_shoulders(person: tuple[float, float, float]) -> None:
    view = views([person] * 240)[-1]
    top, middle = top_and_middle(person, view)
    assert view.size < 0.8
    assert top == pytest.approx(HEADROOM, abs=0.06) or view.y == view.size / 2
    assert middle == pytest.approx(0.5, abs=0.06) or view.x == 1 - view.size / 2
    assert drawn(person, view)[:, 0].sum() == 0  # no shoulder is cut off


def test_a_person_cut_off_by_the_frame_is_shown_down_to_its_edge() -> None:
    person = (0.9, 0.6, 0.25)
    view = views([person] * 240)[-1]
    assert view.y + view.size / 2 == pytest.approx(1)
    assert top_and_middle(person, view)[0] == pytest.approx(HEADROOM, abs=0.04)


def test_a_person_who_fills_the_frame_is_shown_in_full() -> None:
    assert views([(0.9, 0.4, 0.7)] * 150)[-1].size > 0.95


def test_two_people_are_both_shown() -> None:
    pair = [(0.3, 0.5, 0.12), (1.4, 0.5, 0.12)]
    framing = AutoFrame()
    for number in range(300):
        view = framing.crop(number / 30)
        framing.follow(np.maximum(*(drawn(person, view) for person in pair)), view, HEIGHT, WIDTH)
    for person in pair:
        assert 0.05 < top_and_middle(person, view)[1] < 0.95


PLACES = st.tuples(st.floats(0.2, 1.6), st.floats(0.2, 0.8), st.floats(0.08, 0.4))


@settings(max_examples=25)
@given(st.lists(st.one_of(st.none(), PLACES), min_size=1, max_size=6))
def test_it_never_jumps(stays: list[Person]) -> None:
    """Whatever happens: people jump, vanish and come back."""
    shown = views([person for person in stays for _ in range(25)])
    for before, after in pairwise(shown):
        bound = 1.01 * SPEED / 30
        assert abs(math.log(after.size / before.size)) <= bound
        # A view that meets the frame's edge moves with its size, too
        assert abs(after.x - before.x) <= 1.5 * bound
        assert abs(after.y - before.y) <= 1.5 * bound


@settings(max_examples=20)
@given(PLACES)
def test_it_stops_moving_when_the_person_is_still(person: Person) -> None:
    shown = views([person] * 270)
    assert len(set(shown[-30:])) == 1
    assert tuple(shown[-1]) == pytest.approx(tuple(shown[-1].aligned(HEIGHT, WIDTH)))
    assert MAX_ZOOM * shown[-1].size >= 0.999


@settings(max_examples=15)
@given(PLACES, st.integers(0, 99))
def test_a_person_who_sways_does_not_move_it(person: tuple[float, float, float], seed: int) -> None:
    random = np.random.default_rng(seed)
    x, y, head = person
    swaying: list[Person] = [
        (x + 0.02 * head * a, y + 0.02 * head * b, head) for a, b in random.uniform(-1, 1, (60, 2))
    ]
    shown = views([person] * 270 + swaying)
    assert len(set(shown[-60:])) == 1


def test_it_does_not_overshoot() -> None:
    start, end = (0.4, 0.5, 0.12), (1.3, 0.5, 0.12)
    across = [view.x for view in views([start] * 200 + [end] * 250)[200:]]
    assert max(across) - across[-1] < 0.02


def test_dropped_frames_do_not_matter() -> None:
    def walk(interval_s: float) -> Callable[[float], Crop]:
        times = np.arange(0, 6, interval_s)
        people = [(0.4 + 0.2 * min(float(t), 4.0), 0.5, 0.12) for t in times]
        shown = views(people, interval_s)
        return lambda t: shown[round(t / interval_s)]

    every, few = walk(1 / 30), walk(1 / 10)
    for t in (1.0, 2.0, 3.0, 4.0, 5.5):
        for a, b in zip(every(t), few(t), strict=True):
            assert a == pytest.approx(b, abs=0.05)


def test_a_lost_person_is_waited_for_then_the_view_opens_slowly() -> None:
    lost_s = 8.0
    shown = views([(0.5, 0.5, 0.12)] * round(lost_s * 30) + [None] * 600)
    held = shown[round((lost_s + HOLD_S - 0.1) * 30)]
    assert held == pytest.approx(shown[round(lost_s * 30)], abs=0.01)
    assert held.size < 0.6
    sizes = [view.size for view in shown[round((lost_s + HOLD_S) * 30) :]]
    assert all(after >= before for before, after in pairwise(sizes))
    assert sizes[30] < 0.7
    assert shown[-1] == FULL_CROP


def test_after_a_long_gap_it_continues_from_its_last_view() -> None:
    framing, person = AutoFrame(), (0.5, 0.5, 0.12)
    for number in range(200):
        view = framing.crop(number / 30)
        framing.follow(drawn(person, view), view, HEIGHT, WIDTH)
    assert framing.crop(500.0) == pytest.approx(view, abs=0.06)
    assert framing.crop(3.0) == pytest.approx(view, abs=0.06)  # a step back


def test_it_begins_with_the_current_view() -> None:
    framing = AutoFrame()
    framing.reset(Crop(0.4, 0.5, 0.5))
    assert framing.crop(0.0) == pytest.approx((0.4, 0.5, 0.5))
