"""Owned threads, processes that were stopped, and faults that are forgotten after a while."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_rig import HEIGHT, WIDTH, Rig
from numpy.typing import NDArray

from vidbg.config import MattingConfig
from vidbg.errors import BackendError
from vidbg.frame import Alpha
from vidbg.matting import backends
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.ladder import Step
from vidbg.pipeline.live import DeviceNetworks
from vidbg.pipeline.live.network import network_loader as networks
from vidbg.pipeline.live.stages import stage
from vidbg.pipeline.live.threads import replaceable_thread as turns
from vidbg.pipeline.live.threads.background_tasks import BackgroundTasks
from vidbg.pipeline.live.threads.replaceable_thread import Deadline, ReplaceableThread


class Clock:
    """Monotonic time as the test wants it."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(turns, "time", clock)
    monkeypatch.setattr(networks, "time", clock)
    return clock


# --- standing still -------------------------------------------------------------------------------


def look_for(watch: Deadline, clock: Clock, seconds: float) -> list[float | None]:
    """Look ten times a second."""
    overdue = []
    for _ in range(round(10 * seconds)):
        clock.now += 0.1
        overdue.append(watch.overdue_s())
    return overdue


def test_a_call_that_hangs_is_overdue(clock: Clock) -> None:
    watch = Deadline()
    with watch.over(2.0):
        assert set(look_for(watch, clock, 1.9)) == {None}
        assert look_for(watch, clock, 0.3)[-1] == pytest.approx(2.2)
    assert watch.overdue_s() is None
    with watch.over(2.0):
        assert set(look_for(watch, clock, 1.9)) == {None}


def test_time_without_viewers_does_not_count(clock: Clock) -> None:
    """The process was stopped for a minute in the middle of a call, and again."""
    watch = Deadline()
    with watch.over(2.0):
        look_for(watch, clock, 0.3)
        for _ in range(2):
            clock.now += 60
            assert watch.overdue_s() is None
        assert look_for(watch, clock, 2.0)[-1] is not None  # it hangs all the same


def test_a_call_that_began_before_the_stop_is_not_overdue_at_its_first_look(clock: Clock) -> None:
    watch = Deadline()
    watch.overdue_s()
    with watch.over(2.0):
        clock.now += 60
        assert watch.overdue_s() is None


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP on this system")
def test_a_run_that_was_stopped_goes_on_as_before() -> None:
    """Ctrl-Z and fg: nothing is blamed, nothing replaced."""
    code = """
import os, sys, threading, time
from live_rig import Rig
with Rig() as rig:
    rig.backend.fault = lambda usual: (time.sleep(0.02), usual)[1]
    rig.wait_live()
    opened = rig.opened
    print("live", flush=True)
    sys.stdin.readline()
    rig.wait_live()
    time.sleep(0.5)
    rig.wait_live()
    print(rig.blamed, rig.loaded, rig.opened - opened, rig.leaked, rig.state, flush=True)
"""
    paths = [str(Path(__file__).parents[1]), *filter(None, sys.path)]
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "live\n"
    process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate("\n", timeout=60)
    assert said == "0 1 0 0 live\n"


# --- blame ----------------------------------------------------------------------------------------


class Devices:
    """Devices that open; a picture fails on those in `broken`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        self.names, self.broken, self.opened = names, set[str](), list[str]()
        monkeypatch.setattr(backends, "open_device", self.load)
        monkeypatch.setattr(backends, "precisions_after", lambda *_: [])

    def load(self, name: str, *_: object) -> ConstantBackend:
        if name not in self.names:
            raise BackendError(f"there is no {name}")
        self.opened.append(name)

        def alpha(batch: NDArray[np.float32]) -> Alpha:
            if name in self.broken:
                raise BackendError(f"{name} fails")
            return np.ones(batch.shape[2:], np.float32)

        backend = ConstantBackend(alpha)
        backend.name = name
        return backend


def loaded(made: DeviceNetworks) -> str:
    return made.load().backend.name


def wait_better(made: DeviceNetworks, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not made.better():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_blamed_device_is_forgiven(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    Devices(monkeypatch, "cpu", "torch-cpu")
    made = DeviceNetworks(MattingConfig(), HEIGHT, WIDTH)
    for wait_s in (networks.FORGIVEN_S, 2 * networks.FORGIVEN_S):
        assert loaded(made) == "cpu"
        made.blame()
        assert loaded(made) == "torch-cpu"
        clock.now += wait_s - 0.1
        assert not wait_better(made, 0.1)
        clock.now += 0.2
        assert wait_better(made)
    assert loaded(made) == "cpu"
    assert not wait_better(made, 0.1)
    made.close(5)


@pytest.mark.parametrize(
    ("there", "opened"),
    [
        (("cpu", "intel-gpu"), ["cpu"]),
        (("intel-gpu",), ["intel-gpu"]),
        (("mps", "cpu", "intel-gpu"), ["mps"]),
    ],
)
def test_live_runs_take_the_device_that_doctor_names(
    there: tuple[str, ...], opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = Devices(monkeypatch, *there)
    made = DeviceNetworks(MattingConfig(), HEIGHT, WIDTH)
    assert [loaded(made)] == opened == devices.opened
    made.close(5)


def test_where_all_devices_were_blamed_one_serves(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    Devices(monkeypatch, "cpu", "torch-cpu")
    made = DeviceNetworks(MattingConfig(), HEIGHT, WIDTH)
    names = []
    for _ in range(5):
        names.append(loaded(made))
        made.blame()
        clock.now += 0.01
    assert names == ["cpu", "torch-cpu", "cpu", "torch-cpu", "cpu"]  # the least often blamed
    made.close(5)


def test_a_device_that_still_fails_is_left_alone_for_longer(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    devices = Devices(monkeypatch, "cpu", "torch-cpu")
    made = DeviceNetworks(MattingConfig(), HEIGHT, WIDTH)
    assert loaded(made) == "cpu"
    made.blame()
    devices.broken.add("cpu")
    assert loaded(made) == "torch-cpu"
    tries = []
    for _ in range(40):
        clock.now += networks.FORGIVEN_S
        assert not wait_better(made, 0.05)
        tries.append(devices.opened.count("cpu"))
    assert tries[-1] < 10
    devices.broken.clear()
    clock.now += networks.MAX_FORGIVEN_S
    assert wait_better(made)
    assert loaded(made) == "cpu"
    made.close(5)


def test_a_device_that_computes_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices(monkeypatch, "cpu", "torch-cpu")
    devices.broken.add("cpu")
    made = DeviceNetworks(MattingConfig(), HEIGHT, WIDTH)
    assert loaded(made) == "torch-cpu"
    devices.broken.add("torch-cpu")
    with pytest.raises(BackendError, match=r"cpu: cpu fails.*torch-cpu: torch-cpu fails"):
        made.load()
    made.close(5)


def test_closing_frees_the_networks_that_were_tried(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    Devices(monkeypatch, "cpu", "torch-cpu")
    made = DeviceNetworks(MattingConfig(), HEIGHT, WIDTH)
    made.load()
    made.blame()
    made.load()
    clock.now += networks.FORGIVEN_S + 1
    assert wait_better(made)
    freed: list[ConstantBackend] = []
    monkeypatch.setattr(ConstantBackend, "close", lambda backend: freed.append(backend))
    made.close(5)
    assert [backend.name for backend in freed] == ["cpu"]


# --- owners ---------------------------------------------------------------------------------------


@pytest.fixture
def no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_helpers_are_waited_for() -> None:
    helpers, done = BackgroundTasks(), threading.Event()

    def work() -> None:
        time.sleep(0.1)
        done.set()

    helpers.start("test", work)
    assert helpers.running
    assert helpers.close(5)
    assert done.is_set()
    helpers.start("test", pytest.fail)  # nothing any more
    assert not helpers.running


def test_a_helper_thread_that_hangs_is_abandoned(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vidbg")
    helpers, released = BackgroundTasks(), threading.Event()

    def hang() -> None:
        released.wait(10)

    helpers.start("test", hang)
    assert not helpers.close(0.01)
    assert "vidbg-test is left behind" in caplog.text
    released.set()
    assert helpers.close(5)


def test_turns_wait_for_the_threads_that_were_replaced() -> None:
    released, ended = threading.Event(), list[int]()

    def work(turn: int) -> None:
        released.wait(10)
        time.sleep(0.05)
        ended.append(turn)

    made = ReplaceableThread("test", work, 2)
    made.start()
    made.replace()
    released.set()
    assert made.end(5)
    assert sorted(ended) == [0, 1]


@pytest.mark.usefixtures("no_threads_left")
def test_a_run_leaves_no_thread() -> None:
    """Nor while the governor compiles for another level."""
    compiling = threading.Event()

    def prepare(_self: ConstantBackend, _height: int, _width: int) -> None:
        compiling.set()
        time.sleep(0.5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConstantBackend, "prepare", prepare)
        with Rig(steps=[Step("resnet50", 256 * 256)]) as rig:
            rig.backend.fault = slowly
            assert compiling.wait(20)
    assert rig.report is not None


def slowly(usual: Any) -> Any:
    time.sleep(0.2)
    return usual


@pytest.mark.usefixtures("no_threads_left")
def test_a_network_that_hung_for_a_while_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "PATIENCE_S", 0.3)
    monkeypatch.setattr(stage, "SLOWNESS", 1)
    with Rig() as rig:
        rig.wait_live()
        rig.backend.fault = rig.backend.hang
        rig.wait(lambda: rig.blamed >= 1)
        rig.backend.fault = None
        rig.backend.released.set()
        rig.wait_live()


@pytest.mark.parametrize("work", ["time.sleep(1)", "cv2.blur(picture, (99, 99))"])
def test_a_command_ends_although_a_thread_continues(work: str) -> None:
    code = f"""
import threading, time, cv2, numpy
from vidbg.cli.leaving import leave
picture = numpy.zeros((2000, 2000, 3), numpy.uint8)
def go_on():
    while True:
        {work}
threading.Thread(target=go_on, name="vidbg-test", daemon=True).start()
time.sleep(0.1)
print("said")
leave(7)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"said\n", b"")


ENDS = {signal.SIGINT: 130, signal.SIGTERM: 143, getattr(signal, "SIGHUP", signal.SIGTERM): 129}
"""Signals that end a command, and its exit codes."""


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("losses", [1, 5])
def test_a_signal_lost_in_a_callback_comes_again(number: signal.Signals, losses: int) -> None:
    """Python only prints what is raised in the callback of a weak reference.

    Sent again, the signal ends a sleep at once, and it may be lost again and again.
    """
    code = f"""
import signal, sys, time, weakref
from vidbg.cli import app
class Held: pass
held = [Held() for _ in range({losses})]
def callback(_):
    callback.calls += 1
    if callback.calls == 1:
        signal.raise_signal({int(number)})
    time.sleep(1)  # until the signal comes again
callback.calls = 0
kept = [weakref.ref(one, callback) for one in held]
def run():
    held.clear()
    time.sleep(20)
app._exit_code.__globals__["app"] = lambda standalone_mode: run()
began = time.monotonic()
try:
    app.main()
finally:
    print(callback.calls, time.monotonic() - began)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (ENDS[number], b"")
    calls, seconds = done.stdout.split()
    assert int(calls) == losses
    assert float(seconds) < 0.5 * losses + 5


def test_other_lost_exceptions_are_still_reported() -> None:
    code = """
import weakref
from vidbg.cli import app
class Held: pass
def run():
    held = Held()
    kept = weakref.ref(held, lambda _: 1 / 0)
    del held
app._exit_code.__globals__["app"] = lambda standalone_mode: run()
app.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"ZeroDivisionError" in done.stderr


@pytest.mark.parametrize("number", ENDS)
def test_another_signal_during_the_end_leaves_no_traceback(number: signal.Signals) -> None:
    """Shutdown waits for threads, and there Python would print where it was interrupted."""
    code = f"""
import os, signal, threading, time
from vidbg.cli import app
def again():
    time.sleep(0.3)
    os.kill(os.getpid(), {int(number)})
    time.sleep(20)
app._exit_code.__globals__["app"] = lambda standalone_mode: threading.Thread(target=again).start()
app.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, timeout=10
    )
    assert (done.returncode, done.stderr) == (ENDS[number], b"")
