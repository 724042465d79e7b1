"""The governor: it keeps the rate on slow machines and restores quality on fast ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_rig import Rig

from vidbg.config import MattingConfig
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.ladder import RELATIVE_COST, USUAL_PIXELS, Step, live_steps
from vidbg.matting.motion import Motion
from vidbg.matting.preprocess import plan_geometry
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.live.network import governor as governor_module
from vidbg.pipeline.live.network.governor import Governor, Level, levels_of
from vidbg.pipeline.live.stages import stage
from vidbg.pipeline.live.status import LIMITED
from vidbg.util.choices import Network
from vidbg.util.limits import MIN_PIXELS

RATE = 30.0
HD = 720, 1280
ALL = live_steps(MattingConfig(quality="best"), HD)
RESNET50 = live_steps(MattingConfig(network="resnet50", network_pixels=USUAL_PIXELS), HD)


class Machine:
    """Frames at 30 a second; ResNet-50 takes `ms` at the usual size.

    Each frame takes 10 ms of one of two cores besides, and the network both of them.
    """

    def __init__(self, ms: float, steps: Sequence[Step] = RESNET50, cpu_limit: float = 1.0) -> None:
        self.ms, self.now, self.cpu_s = ms, 0.0, 0.0
        self.still = False
        self.governor = Governor(
            levels_of(steps, HD), RATE, 0.0, cpu_limit=cpu_limit, cpu_s=lambda: self.cpu_s
        )
        self.changes: list[tuple[float, Level]] = []

    def run(self, seconds: float, noise: float = 0.0) -> Machine:
        end, index = self.now + seconds, 0
        jitter = np.random.default_rng(3)
        while self.now < end:
            level = self.governor.level
            worked = index % level.every == 0 and not self.still
            work_s = self.work_s(level.step) if worked else 2e-3
            work_s *= jitter.uniform(1 - noise, 1 + noise)
            passed = max(1, int(np.ceil(work_s * RATE)))
            index += passed
            self.now += passed / RATE
            self.cpu_s += min(10e-3 / 2 + work_s, passed / RATE)
            if self.governor.frame(work_s, passed - 1, self.now, worked=worked):
                self.changes.append((self.now, self.governor.level))
        return self

    def stall(self, seconds: float) -> None:
        """One frame that waits for something else."""
        self.now += seconds
        self.governor.frame(seconds, int(seconds * RATE), self.now)

    def cpu_share(self) -> float:
        """Share of the computer's CPU time over ten seconds at the current level."""
        before_s, start = self.cpu_s, self.now
        self.run(10)
        return (self.cpu_s - before_s) / (self.now - start)

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


@pytest.mark.parametrize("ms", [60, 150, 190])
def test_the_rate_is_back_within_two_seconds_of_a_change_of_load(ms: float) -> None:
    """From ResNet-50 to the step that holds the rate at once, not by each step between them."""
    machine = Machine(20, ALL).run(30)
    assert machine.governor.level.step.network == "resnet50"
    machine.ms, changed_s = ms, machine.now
    machine.run(20)
    assert machine.work_s(machine.governor.level.step) < 1 / RATE
    assert machine.changes[-1][0] - changed_s < 2.5


def test_a_stall_costs_one_step_which_is_regained() -> None:
    machine = Machine(15, ALL, cpu_limit=0.9).run(60)
    before, changes = machine.governor.level, len(machine.changes)
    machine.stall(1.5)
    machine.run(15)
    assert machine.governor.level == before
    assert len(machine.changes) - changes <= 2


@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_after_a_burst_of_load_the_level_rises_again(seconds: float) -> None:
    machine = Machine(15, ALL).run(60)
    before, changes = machine.governor.level, len(machine.changes)
    machine.ms = 90
    machine.run(seconds)
    machine.ms = 15
    machine.run(60)
    assert machine.governor.level == before
    assert len(machine.changes) - changes <= 6


@pytest.mark.parametrize("ms", [10, 20, 28, 33, 45, 120])
def test_it_settles_on_an_uneven_machine(ms: float) -> None:
    machine = Machine(ms, ALL).run(120, noise=0.4)
    changes = len(machine.changes)
    machine.run(600, noise=0.4)
    assert len(machine.changes) - changes <= 4


def test_a_still_picture_is_no_reason_to_climb() -> None:
    machine = Machine(60, ALL).run(30)
    before = machine.governor.level
    machine.still = True
    machine.run(120)
    assert machine.governor.level == before


@pytest.mark.parametrize("limit", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("ms", [8, 20, 40])
def test_a_run_keeps_to_its_share_of_the_computer(ms: float, limit: float) -> None:
    machine = Machine(ms, ALL, limit).run(120)
    changes = len(machine.changes)
    assert machine.cpu_share() <= limit
    machine.run(600)
    assert len(machine.changes) - changes <= 8  # it tries again every five minutes
    level = machine.governor.level
    better = [step for step in ALL if step.cost > level.step.cost]
    assert not better or RATE * (5e-3 + machine.work_s(better[0])) > 0.75 * limit


@pytest.mark.parametrize(("limit", "every"), [(0.34, 1), (0.27, 2), (0.235, 3)])
def test_frames_are_skipped_where_the_smallest_network_takes_more_than_the_share(
    limit: float, every: int
) -> None:
    machine = Machine(60, ALL, limit).run(60)
    assert machine.governor.level.every == every
    assert machine.cpu_share() <= limit
    assert machine.changes[-1][0] < 20
    assert machine.governor.limited
    assert machine.governor.over_limit is None


def test_a_share_that_cannot_be_kept_is_reported() -> None:
    machine = Machine(60, ALL, 0.1).run(60)
    governor = machine.governor
    assert governor.level == levels_of(ALL, HD)[-1]
    assert governor.over_limit == pytest.approx(machine.cpu_share(), rel=0.1)
    governor.aim(cpu_limit=0.5)
    machine.run(60)
    assert governor.over_limit is None
    assert governor.level.every == 1


def test_a_live_run_says_what_its_limit_would_have_to_be(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(governor_module, "WINDOW_S", 0.1)
    rig = Rig(steps=[Step("resnet50", 192 * 256)])
    rig.cpu_limit = 0.001
    with rig:
        rig.wait_live()
        rig.wait(lambda: "--cpu-limit of" in (rig.statuses[-1].reduced or ""), 20)
        assert LIMITED in {status.reduced for status in rig.statuses}
    words = rig.statuses[-1].reduced or ""
    assert "above its limit of 0.1 %" in words
    assert "128x96 at 30 frames a second" in words
    assert sum("above its limit" in record.message for record in caplog.records) == 1


def test_quality_rises_again_when_the_machine_is_free() -> None:
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


def test_a_run_begins_at_its_step_and_does_not_count_as_reduced() -> None:
    governor = Governor(levels_of(ALL, HD), RATE, 0.0)
    assert governor.reset(ALL[1], 1.0).step == ALL[1]
    assert not governor.reduced
    governor.reset(Step("light", 123456), 1.0)  # not of the ladder: the best
    assert governor.level.step == ALL[-1]


@given(
    st.tuples(st.integers(8, 1080), st.integers(8, 1920)),
    st.sampled_from(["auto", "light", "resnet50"]),
    st.sampled_from([None, MIN_PIXELS, 20000, 40000, USUAL_PIXELS, 262144]),
)
def test_each_level_costs_less_than_the_one_before(
    size: tuple[int, int], network: Network, pixels: int | None
) -> None:
    """For the frames at hand: small ones are not enlarged, and some sizes come out alike."""
    config = MattingConfig(network=network, quality="best", network_pixels=pixels)
    steps = live_steps(config, size)
    levels = levels_of(steps, size)
    plans = [(level, plan_geometry(*size, level.step.pixels)) for level in levels]
    costs = [
        RELATIVE_COST[level.step.network] * plan.height * plan.width / level.every
        for level, plan in plans
    ]
    assert all(lower < higher for higher, lower in pairwise(costs))
    assert [level.cost for level in levels] == pytest.approx(np.array(costs) / USUAL_PIXELS)
    assert levels[-1].every == 3
    assert {level.step for level in levels} >= set(steps)


@given(st.lists(st.floats(1, 400), min_size=1, max_size=8))
def test_levels_stay_within_the_list(loads: list[float]) -> None:
    machine = Machine(10)
    for ms in loads:
        machine.ms = ms
        machine.run(5)
    assert machine.governor.level.step.pixels <= USUAL_PIXELS
    assert 1 <= machine.governor.level.every <= 3


def blob(x: float) -> tuple[Any, Any]:
    """Draw a textured disc in front of a textured wall; return it with its alpha."""
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
    propagated = Motion().warp(alpha, before, now)
    left_behind = np.abs(alpha - truth).mean()
    assert np.abs(propagated - truth).mean() < 0.35 * left_behind
    assert propagated.min() >= 0
    assert propagated.max() <= 1


def test_the_matter_carries_between_calls_and_asks_where_it_cannot() -> None:
    asked = []

    def network(batch: np.ndarray) -> np.ndarray:
        asked.append(batch.shape)
        return np.pad(blob(0)[1], ((0, batch.shape[2] - 216), (0, batch.shape[3] - 384)))

    config = MattingConfig(smoothing_s=0, reuse=False)
    matter = VideoMatting(config=config, backend=ConstantBackend(network))
    frames = [np.dstack([blob(x)[0]] * 3) for x in (0, 5)]
    matter.shared_alpha(frames[0], 0.0, propagates=True)  # nothing to propagate yet
    propagated = matter.shared_alpha(frames[1], 1 / 30, propagates=True)
    assert len(asked) == 1
    assert np.abs(propagated - blob(5)[1]).mean() < 0.5 * np.abs(blob(0)[1] - blob(5)[1]).mean()
    matter.shared_alpha(frames[0], 9.0, propagates=True)  # a gap
    assert len(asked) == 2


def test_another_network_size_is_used_from_the_next_picture_on() -> None:
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
    with Rig(steps=[Step("resnet50", 192 * 256)]) as rig:
        rig.wait_live()

        def slow(alpha: np.ndarray) -> np.ndarray:
            # By the level: the rig's frames are smaller than the network's input may be
            time.sleep(0.05 * rig.pipeline.governor.level.step.pixels / (192 * 256))
            return alpha

        rig.backend.fault = slow
        rig.wait(lambda: rig.statuses[-1].reduced is not None, 20)

        def rate() -> float:
            count, start = rig.pipeline.outputs.frames, time.monotonic()
            time.sleep(1.5)
            return (rig.pipeline.outputs.frames - count) / (time.monotonic() - start)

        rig.wait(lambda: rate() > 26, 20)  # not at once where other programs are busy as well
    assert rig.leaked == 0
