"""The ladder of networks and sizes: what each setting takes, how a run begins, how it switches."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidbg.config import MattingConfig
from vidbg.errors import BackendError, ConfigError
from vidbg.matting.backends import parse_engine, switchable
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.backends.switchable import SwitchableBackend
from vidbg.matting.ladder import LADDER, USUAL_PIXELS, Step, file_step, live_steps
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.live.network import backend_opener
from vidbg.pipeline.live.network import speeds as speeds_module
from vidbg.pipeline.live.network.network_loader import DeviceNetworks
from vidbg.pipeline.live.network.speeds import SHARES, Speeds, network_budget_s
from vidbg.util.choices import Quality

BUDGET_S = 1 / 60


def test_the_ladder_rises_in_cost() -> None:
    costs = [step.cost for step in LADDER]
    assert costs == sorted(costs)


@pytest.mark.parametrize(
    ("settings", "step"),
    [
        ({}, Step("resnet50", USUAL_PIXELS)),
        ({"quality": "fast"}, Step("light", 147456)),
        ({"quality": "best"}, Step("resnet50", 262144)),
        ({"network": "light"}, Step("light", 147456)),
        ({"network": "light", "quality": "best"}, Step("light", 262144)),
        ({"network": "resnet50", "quality": "fast"}, Step("resnet50", USUAL_PIXELS)),
        ({"network_pixels": 50000}, Step("resnet50", 50000)),
        ({"network_pixels": 50000, "quality": "fast"}, Step("light", 50000)),
        ({"network_pixels": 50000, "network": "light"}, Step("light", 50000)),
    ],
)
def test_the_step_for_files(settings: dict[str, Any], step: Step) -> None:
    assert file_step(MattingConfig(**settings)) == step


@pytest.mark.parametrize(
    ("settings", "networks", "top"),
    [
        ({}, {"light", "resnet50"}, Step("resnet50", 147456)),
        ({"quality": "fast"}, {"light"}, Step("light", USUAL_PIXELS)),
        ({"quality": "best"}, {"light", "resnet50"}, Step("resnet50", 262144)),
        ({"network": "light", "quality": "best"}, {"light"}, Step("light", 262144)),
        ({"network": "resnet50"}, {"resnet50"}, Step("resnet50", 147456)),
        ({"network_pixels": 100000}, {"light", "resnet50"}, Step("resnet50", 100000)),
    ],
)
def test_the_steps_of_a_live_run(settings: dict[str, Any], networks: set[str], top: Step) -> None:
    steps = live_steps(MattingConfig(**settings), (720, 1280))
    assert {step.network for step in steps} == networks
    assert steps[-1] == top
    assert [s.cost for s in steps] == sorted(s.cost for s in steps)


def test_a_small_camera_has_no_steps_that_differ_only_in_name() -> None:
    steps = live_steps(MattingConfig(quality="best"), (240, 320))
    assert steps == (LADDER[0], LADDER[1], LADDER[3])
    steps = live_steps(MattingConfig(quality="best"), (480, 640))
    assert steps == LADDER


@pytest.mark.parametrize("setting", [{"network": "resnet"}, {"quality": "good"}])
def test_unknown_settings_name_the_choices(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"unknown .*choose from "):
        MattingConfig(**setting)


def test_engines_name_their_network() -> None:
    assert parse_engine("cpu") == ("cpu", "auto", "resnet50")
    assert parse_engine("cpu:int8:light") == ("cpu", "int8", "light")
    for wrong in ("cpu:int8:lite", "cpu:int8:light:2"):
        with pytest.raises(ConfigError, match="DEVICE:PRECISION:NETWORK"):
            parse_engine(wrong)


def test_networks_are_opened_once_and_closed_together_or_when_unused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[str] = []
    closed: list[str] = []

    class Closeable(ConstantBackend):
        def close(self) -> None:
            closed.append("closed")

    def open_backend(network: str) -> ConstantBackend:
        opened.append(network)
        return Closeable(0.25)

    backend = SwitchableBackend("light", Closeable(0.75), open_backend)
    batch = np.zeros((1, 4, 32, 64), np.float32)
    assert backend(batch).max() == pytest.approx(0.75)
    with pytest.raises(ValueError, match="never prepared"):
        backend.use("resnet50")
    backend.prepare_network("resnet50", 32, 64)
    backend.prepare_network("resnet50", 64, 64)
    assert backend(batch).max() == pytest.approx(0.75)
    backend.use("resnet50")
    assert backend(batch).max() == pytest.approx(0.25)
    assert not closed
    monkeypatch.setattr(switchable, "UNUSED_S", -1.0)
    assert backend(batch).max() == pytest.approx(0.25)
    assert len(closed) == 1
    backend.prepare_network("light", 64, 64)
    assert opened == ["resnet50", "light"]
    backend.close()
    assert len(closed) == 3


def test_a_change_of_network_keeps_the_smoothed_past() -> None:
    """Halfway between the old alpha and the new one, not a jump to the new one."""
    backend = SwitchableBackend("light", ConstantBackend(1.0), lambda _: ConstantBackend(0.0))
    config = MattingConfig(network="light", smoothing_s=0.15, refine=False, reuse=False)
    matter = VideoMatting(config=config, backend=backend)
    picture = np.full((180, 320, 3), 90, np.uint8)
    assert matter(picture, 0.0).min() == 1
    step = Step("resnet50", USUAL_PIXELS)
    matter.prepare(180, 320, step)
    matter.use(step)
    assert matter.step == step
    first = matter(picture, 1 / 30)
    assert 0.6 < first.min() <= first.max() < 0.95
    for index in range(2, 40):
        last = matter(picture, index / 30)
    assert last.max() == 0


def test_a_matter_with_one_network_refuses_another() -> None:
    matter = VideoMatting(backend=ConstantBackend())
    with pytest.raises(ValueError, match="one network, resnet50"):
        matter.use(Step("light", USUAL_PIXELS))


def test_speeds_are_kept_for_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "times.json"
    speeds = Speeds("cpu", "int8", None, path)
    assert speeds.best(LADDER, BUDGET_S) == LADDER[0]  # nothing is known
    speeds.measure(LADDER[0], ConstantBackend(), 64, 64)
    again = Speeds("cpu", "int8", None, path)
    known = again.get(LADDER[0])
    assert known is not None
    assert known < 0.01
    assert Speeds("cpu", "fp32", None, path).get(LADDER[0]) is None
    path.write_text("{")
    assert Speeds("cpu", "int8", None, path).get(LADDER[0]) is None


def test_times_that_cannot_be_kept_are_measured_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    speeds = Speeds("cpu", "int8", None, tmp_path / "file" / "times.json")
    speeds.measure(LADDER[0], ConstantBackend(), 64, 64)
    assert speeds.get(LADDER[0]) is not None


@pytest.mark.parametrize("light_ms", [1.0, 4.0, 9.0, 30.0])
def test_the_best_step_is_the_last_that_is_expected_to_fit(tmp_path: Path, light_ms: float) -> None:
    path = tmp_path / "times.json"
    machine = Speeds("cpu", "int8", None, path)._machine
    path.write_text(json.dumps({machine: {str(LADDER[1]): light_ms / 1e3}}))
    best = Speeds("cpu", "int8", None, path).best(LADDER, BUDGET_S)
    fits = [s for s in LADDER if light_ms * s.cost / LADDER[1].cost <= 1e3 * BUDGET_S]
    assert best == (fits[-1] if fits else LADDER[0])


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[float], list[str]]:
    """Fake a CPU on which ResNet-50 takes a given time; the call returns the networks opened."""
    monkeypatch.setenv("VIDBG_CACHE", str(tmp_path))

    def slow(ms: float) -> list[str]:
        opened: list[str] = []

        def load_first(names: list[str], _: str, network: str, *__: Any) -> Any:
            if "cpu" not in names:
                raise BackendError("no GPU here")
            opened.append(network)
            backend = ConstantBackend()
            backend.name = network
            return "cpu", backend

        def try_out(backend: Any, height: int, width: int) -> float:
            return 1e-3 * ms * Step(backend.name, height * width).cost / LADDER[3].cost

        monkeypatch.setattr(backend_opener, "load_first", load_first)
        monkeypatch.setattr(speeds_module, "try_out", try_out)
        return opened

    return slow


@pytest.mark.parametrize(
    ("ms", "step"),
    [
        (9.0, LADDER[4]),
        (18.0, LADDER[3]),
        (40.0, LADDER[2]),
        (100.0, LADDER[1]),
        (900.0, LADDER[0]),
    ],
)
def test_a_live_run_begins_at_the_step_that_this_machine_can_keep_up(
    devices: Callable[[float], list[str]], ms: float, step: Step
) -> None:
    devices(ms)
    for _ in range(2):  # measured, then remembered
        matter = DeviceNetworks(MattingConfig(), 720, 1280, rate=30).load()
        assert matter.step == step
        assert matter.backend.name == step.network


@pytest.mark.parametrize("quality", ["fast", "balanced", "best"])
@pytest.mark.parametrize("ms", [4.0, 9.0, 16.0, 60.0])
def test_quality_decides_how_much_time_the_network_may_take(
    devices: Callable[[float], list[str]], ms: float, quality: Quality
) -> None:
    devices(ms)
    step = DeviceNetworks(MattingConfig(quality=quality), 720, 1280, rate=30).load().step
    taken_s = 1e-3 * ms * step.cost / LADDER[3].cost
    assert taken_s <= 1.05 * SHARES[quality] / 30  # sides of 32 pixels leave some out


def test_what_was_measured_on_a_busy_computer_is_measured_again(
    devices: Callable[[float], list[str]],
) -> None:
    devices(900)
    assert DeviceNetworks(MattingConfig(), 720, 1280, rate=30).load().step == LADDER[0]
    devices(18)
    assert DeviceNetworks(MattingConfig(), 720, 1280, rate=30).load().step == LADDER[3]
    devices(900)  # busy again: what this computer can do is known
    assert DeviceNetworks(MattingConfig(), 720, 1280, rate=30).load().step == LADDER[3]


def test_without_a_rate_to_hold_quality_leads(devices: Callable[[float], list[str]]) -> None:
    devices(500)
    matter = DeviceNetworks(MattingConfig(quality="best"), 720, 1280).load()
    assert matter.step == Step("resnet50", 262144)


@pytest.mark.parametrize(
    ("limit", "step", "threads"),
    [(1.0, LADDER[3], None), (0.5, LADDER[2], None), (0.2, LADDER[1], 1), (0.15, LADDER[0], 1)],
)
def test_a_run_starts_within_its_cpu_limit(
    limit: float,
    step: Step,
    threads: int | None,
    devices: Callable[[float], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(speeds_module, "usable_cores", lambda: 2)
    devices(18)
    networks = DeviceNetworks(MattingConfig(), 720, 1280, rate=30, cpu_limit=limit)
    matter = networks.load()
    assert (matter.step, matter.config.threads) == (step, threads)


@pytest.mark.parametrize(
    ("cores", "limit", "threads", "share"),
    [
        (2, 1.0, None, 0.55),  # what the quality allows
        (2, 0.5, None, 0.375),  # half of the computer but for the quarter of a core of the rest
        (2, 0.5, 1, 0.55),
        (8, 0.25, None, 0.21875),
        (1, 0.1, None, 0.0),
    ],
)
def test_the_network_gets_what_the_rest_of_a_frame_leaves(
    cores: int, limit: float, threads: int | None, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speeds_module, "usable_cores", lambda: cores)
    budget_s = network_budget_s("balanced", 30, limit, threads)
    assert budget_s == pytest.approx(share / 30)
