"""Logging as each test found it, nobody's settings, made picture sets, no silent skipping.

VIDBG_REQUIRE names marks, such as `gpu,data`: on a machine that is meant to have what they need, a
test with that mark that skips has failed.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import settings
from nodes import FakeLoopback, FakePyvirtualcam, Kernel
from running import Cli, Run, running

from vidbg.cli import leaving
from vidbg.cli.app import main

if TYPE_CHECKING:
    from fake_cuda import FakeCuda

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""PyTorch in one thread: on small inputs, its threads spend most of their time waiting."""

settings.register_profile("vidbg", deadline=None)  # a shared machine pauses any example
settings.load_profile("vidbg")

REQUIRED = set(filter(None, os.environ.get("VIDBG_REQUIRE", "").split(",")))


def pytest_configure() -> None:
    """Let programs that tests start heed Ctrl-C: a shell's background jobs ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    required = REQUIRED & {mark.name for mark in item.iter_markers()}
    if report.skipped and required and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{sorted(required)} must not skip here: {report.longrepr}"
    return report


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """Simulate CUDA in place of the real one."""
    from fake_cuda import FakeCuda

    from vidbg.matting.backends.tensorrt import session

    fake = FakeCuda()
    monkeypatch.setattr(session, "load_runtime", lambda: fake)
    return fake


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Take back the levels and handlers that running the command line sets."""
    loggers = [logging.getLogger(), logging.getLogger("vidbg")]
    before = [(logger.level, logger.handlers[:], logger.propagate) for logger in loggers]
    yield
    for logger, (level, handlers, propagate) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:], logger.propagate = handlers, propagate


@pytest.fixture(autouse=True)
def stays_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the command line from ending the tests because of another test's thread."""
    monkeypatch.setattr(leaving, "_is_ours", lambda _: False)


@pytest.fixture(autouse=True)
def no_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings nor the logs nor the cache of whoever runs the tests."""
    for name in os.environ:
        if name.startswith("VIDBG_") and not name.startswith(("VIDBG_REQUIRE", "VIDBG_VM")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("VIDBG_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))


@pytest.fixture
def quick_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute convolutions of fp16 values in fp32, as GPUs sum them.

    Most processors have no fp16 arithmetic, and PyTorch's replacement takes seconds a frame.
    """
    torch = pytest.importorskip("torch")
    convolve = torch.nn.functional.conv2d
    widened: dict[int, tuple[Any, Any]] = {}

    def conv2d(values: Any, weight: Any, bias: Any = None, *rest: Any, **named: Any) -> Any:
        if values.dtype != torch.float16 or values.device.type != "cpu":
            return convolve(values, weight, bias, *rest, **named)
        if id(weight) not in widened:
            widened[id(weight)] = weight, weight.float()  # the first keeps the id from another
        bias = None if bias is None else bias.float()
        return convolve(values.float(), widened[id(weight)][1], bias, *rest, **named).half()

    monkeypatch.setattr(torch.nn.functional, "conv2d", conv2d)


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """Ten people, four cut-outs and three rooms, 96 x 80."""
    rng = np.random.default_rng(0)
    for name in ("people/images", "people/masks", "cutouts/images", "rooms/images"):
        (tmp_path / name).mkdir(parents=True)
    for index in range(10):
        image, mask = rng.integers(0, 255, (80, 96, 3), np.uint8), np.zeros((40, 48), np.uint8)
        cv2.circle(mask, (24, 20), 6 + index, 255, -1)
        cv2.imwrite(str(tmp_path / f"people/images/{index}.jpg"), image)
        cv2.imwrite(str(tmp_path / f"people/masks/{index}.png"), mask)  # half the picture's size
        if index < 4:
            rgba = np.dstack([image, cv2.resize(mask, (96, 80))])
            cv2.imwrite(str(tmp_path / f"cutouts/images/{index}.png"), rgba)
        if index < 3:
            cv2.imwrite(str(tmp_path / f"rooms/images/{index}.jpg"), image)
    return tmp_path


@pytest.fixture
def virtualcam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePyvirtualcam:
    """pyvirtualcam on a computer whose v4l2loopback 0.15.0 has one device, /dev/video10."""
    from vidbg.sinks.camera import virtual_camera
    from vidbg.sinks.camera.loopback import gather_facts

    kernel = Kernel({"/dev/video10": FakeLoopback()})
    kernel.lay_out(tmp_path)
    module = FakePyvirtualcam(kernel)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)
    monkeypatch.setattr(virtual_camera, "VideoNode", kernel.open)
    monkeypatch.setattr(
        virtual_camera, "gather_facts", lambda: gather_facts(tmp_path, "6.1.0-9-amd64", kernel.open)
    )
    return module


@pytest.fixture
def vidbg(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit code, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vidbg", *map(str, arguments)])
        monkeypatch.setattr("signal.signal", lambda *_: None)
        with pytest.raises(SystemExit) as ended:
            main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Start a run in another process."""
    with running(tmp_path_factory.mktemp("run")) as own:
        yield own


@pytest.fixture
def ctl(run: Run, vidbg: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """Run `vidbg ctl`, and restore the settings afterwards."""
    for name, value in run.environment.items():
        if name.startswith("XDG_"):
            monkeypatch.setenv(name, value)
    yield lambda *arguments: vidbg("ctl", *arguments)
    if run.process.poll() is None:
        assert vidbg("ctl", "reset") == (0, "", "")
