"""The governor: the rate is held on slow machines, and quality comes back on quick ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_rig import Rig

from vidbg.config import MattingConfig
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.ladder import USUAL_PIXELS, Step, live_steps
from vidbg.matting.motion import Motion
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.live.network import governor as governor_module
from vidbg.pipeline.live.network.governor import Governor, Level, levels_of
from vidbg.pipeline.live.stages import stage

RATE = 30.0
ALL = live_steps(MattingConfig(quality="best"))
RESNET50 = live_steps(MattingConfig(network="resnet50", network_pixels=USUAL_PIXELS))


class Machine:
    """Frames at 30 a second; ResNet-50 takes `ms` at the usual size."""

    def __init__(self, ms: float, steps: Sequence[Step] = RESNET50) -> None:
        self.ms, self.now = ms, 0.0
        self.governor = Governor(levels_of(steps), RATE, 0.0)
        self.changes: list[tuple[float, Level]] = []

    def run(self, seconds: float) -> Machine:
        end, index = self.now + seconds, 0
        while self.now < end:
            level = self.governor.level
            work_s = self.work_s(level.step) if index % level.every == 0 else 2e-3
            passed = max(1, int(np.ceil(work_s * RATE)))
            index += passed
            self.now += passed / RATE
            if self.governor.frame(work_s, passed - 1, self.now):
                self.changes.append((self.now, self.governor.level))
        return self

    def work_s(self, step: Step) -> float:
        """Seconds that the network takes."""
        return 1e-3 * self.ms * step.cost / RESNET50[-1].cost


def test_a_quick_machine_is_left_alone() -> None:
    machine = Machine(15).run(60)
    assert not machine.changes
    assert not machine.governor.reduced


@pytest.mark.parametrize("ms", [40, 60, 90])
def test_a_slow_machine_holds_the_rate_within_seconds(ms: float) -> None:
    machine = Machine(ms).run(8)
    level = machine.governor.level
    assert machine.work_s(level.step) / level.every < 1 / RATE
    assert machine.changes[-1][0] < 6.5


def test_quality_comes_back_when_the_machine_is_free_again() -> None:
    machine = Machine(60).run(20)
    assert machine.governor.reduced
    machine.ms = 15
    machine.run(60)
    assert not machine.governor.reduced


def test_it_does_not_swing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine between two levels tries the larger one ever more rarely."""
    monkeypatch.setattr(governor_module, "ROOM", 2.0)  # always hopeful
    machine = Machine(40).run(600)
    late = [at for at, _ in machine.changes if at > 300]
    assert len(late) <= 8


@pytest.mark.parametrize("ms", [8, 20, 50, 120, 400])
def test_the_ladder_ends_at_the_best_step_that_holds_the_rate(ms: float) -> None:
    machine = Machine(ms, ALL).run(400)
    level = machine.governor.level
    assert machine.work_s(level.step) / level.every < 1 / RATE
    better = [step for step in ALL if step.cost > level.step.cost]
    if better and level.every == 1:
        assert machine.work_s(better[0]) > 0.7 / RATE  # ROOM is left for other programs


def test_the_networks_change_with_the_load_and_back() -> None:
    machine = Machine(20, ALL)
    networks = []
    for ms, seconds in ((20, 60), (150, 12), (20, 120)):
        machine.ms = ms
        machine.run(seconds)
        step = machine.governor.level.step
        networks.append(step.network)
        assert machine.work_s(step) < 1 / RATE
    assert networks == ["resnet50", "light", "resnet50"]


def test_a_run_begins_where_it_is_told_to_and_that_is_not_eased() -> None:
    governor = Governor(levels_of(ALL), RATE, 0.0)
    assert governor.reset(ALL[1], 1.0).step == ALL[1]
    assert not governor.reduced
    governor.reset(Step("light", 123456), 1.0)  # not of the ladder: the best
    assert governor.level.step == ALL[-1]


def test_levels_are_in_the_order_of_cost() -> None:
    for steps in (ALL, RESNET50[-1:], live_steps(MattingConfig(network="light"))):
        costs = [level.cost for level in levels_of(steps)]
        assert costs == sorted(costs, reverse=True) or steps is ALL
        assert len(set(costs)) == len(costs)


@given(st.lists(st.floats(1, 400), min_size=1, max_size=8))
def test_levels_stay_within_the_list(loads: list[float]) -> None:
    machine = Machine(10)
    for ms in loads:
        machine.ms = ms
        machine.run(5)
    assert machine.governor.level.step.pixels <= USUAL_PIXELS
    assert 1 <= machine.governor.level.every <= 3


def blob(x: float) -> tuple[Any, Any]:
    """A textured disc before a textured wall, and its alpha."""
    noises = np.random.default_rng(1).integers(0, 70, (2, 216, 384), np.uint8)
    wall, skin = (cv2.GaussianBlur(noise, (0, 0), 2) for noise in noises)
    wall, skin = wall + 50, skin + 150
    shift = np.array([[1, 0, x], [0, 1, 0]], np.float32)
    disc = np.zeros((216, 384), np.float32)
    cv2.circle(disc, (150, 110), 60, 1.0, -1, cv2.LINE_AA)
    moved = cv2.warpAffine(skin, shift, (384, 216))
    alpha = cv2.warpAffine(disc, shift, (384, 216))
    return (alpha * moved + (1 - alpha) * wall).astype(np.uint8), alpha


def test_alpha_is_carried_along_with_the_person() -> None:
    (before, alpha), (now, truth) = blob(0), blob(7)
    carried = Motion().carry(alpha, before, now)
    left_behind = np.abs(alpha - truth).mean()
    assert np.abs(carried - truth).mean() < 0.35 * left_behind
    assert carried.min() >= 0
    assert carried.max() <= 1


def test_the_matter_carries_between_calls_and_asks_where_it_cannot() -> None:
    asked = []

    def network(batch: np.ndarray) -> np.ndarray:
        asked.append(batch.shape)
        return np.pad(blob(0)[1], ((0, batch.shape[2] - 216), (0, batch.shape[3] - 384)))

    config = MattingConfig(smoothing_s=0, reuse=False)
    matter = VideoMatting(config=config, backend=ConstantBackend(network))
    frames = [np.dstack([blob(x)[0]] * 3) for x in (0, 5)]
    matter.carry(frames[0], 0.0)  # nothing to carry yet
    carried = matter.carry(frames[1], 1 / 30)
    assert len(asked) == 1
    assert np.abs(carried - blob(5)[1]).mean() < 0.5 * np.abs(blob(0)[1] - blob(5)[1]).mean()
    matter.carry(frames[0], 9.0)  # a gap
    assert len(asked) == 2


def test_another_network_size_is_taken_at_the_next_picture() -> None:
    sizes = []

    def network(batch: np.ndarray) -> np.ndarray:
        sizes.append(batch.shape[2] * batch.shape[3])
        return np.zeros(batch.shape[2:], np.float32)

    matter = VideoMatting(config=MattingConfig(reuse=False), backend=ConstantBackend(network))
    picture = np.zeros((360, 640, 3), np.uint8)
    matter(picture)
    matter.use(Step("resnet50", 30000))
    matter(picture)
    assert sizes[0] > 2 * sizes[1]
    assert sizes[1] <= 30000


def test_a_live_run_eases_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "PATIENCE_S", 2.0)
    with Rig(steps=[Step("resnet50", 128 * 160)]) as rig:
        rig.wait_live()

        def slow(alpha: np.ndarray) -> np.ndarray:
            time.sleep(0.05 * alpha.size / (128 * 160))
            return alpha

        rig.backend.fault = slow
        rig.wait(lambda: rig.statuses[-1].reduced is not None, 20)

        def rate() -> float:
            count, start = rig.pipeline.outputs.frames, time.monotonic()
            time.sleep(1.5)
            return (rig.pipeline.outputs.frames - count) / (time.monotonic() - start)

        rig.wait(lambda: rate() > 26, 20)  # not at once where other programs are busy as well
    assert rig.leaked == 0
