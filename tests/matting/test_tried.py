"""Backends that fail at their first image, are closed while they compute, or get many sizes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from vidbg.errors import BackendError
from vidbg.frame import Alpha
from vidbg.matting import backends
from vidbg.matting import video_matting as matter_module
from vidbg.matting.backends import kept as kept_module
from vidbg.matting.backends import lifetime, load_backend, load_first, measure, openvino
from vidbg.matting.backends.alpha_checks import try_out
from vidbg.matting.backends.constant import ConstantBackend
from vidbg.matting.backends.graphs import graph_backend
from vidbg.matting.backends.kept import Kept
from vidbg.matting.backends.lifetime import NativeBackend, interruption, under_way
from vidbg.matting.backends.trial import try_apart
from vidbg.matting.ladder import Step
from vidbg.matting.video_matting import VideoMatting

PICTURE = np.zeros((48, 64, 3), np.uint8)
BATCH = np.zeros((1, 4, 64, 64), np.float32)
OFFERED = ("int8", "bf16", "fp32")


def failing(_: NDArray[np.float32]) -> Alpha:
    raise BackendError("bad combination")


def not_numbers(batch: NDArray[np.float32]) -> Alpha:
    return np.full(batch.shape[2:], np.nan, np.float32)


class Opened(ConstantBackend):
    """A backend by the name of its device and precision."""

    def __init__(self, name: str, precision: str, alpha: float | Callable[..., Alpha]) -> None:
        super().__init__(alpha)
        self.name, self.precision = name, precision
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Machine:
    """Devices that open; those in `broken` fail at a picture, by device or device:precision."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *devices: str) -> None:
        self.devices, self.opened = devices, list[Opened]()
        self.broken: dict[str, Callable[..., Alpha]] = {}
        monkeypatch.setattr(backends, "open_device", self.load)
        library = SimpleNamespace(offered=lambda _: OFFERED, probe=lambda _: "library, int8, chip")
        monkeypatch.setattr(backends.Candidate, "library", lambda _: library)

    def load(self, name: str, precision: str, _network: str, _threads: int | None) -> Opened:
        if name not in self.devices:
            raise BackendError(f"there is no {name}")
        precision = OFFERED[0] if precision == "auto" else precision
        alpha = self.broken.get(name, self.broken.get(f"{name}:{precision}", 0.5))
        self.opened.append(Opened(name, precision, alpha))
        return self.opened[-1]

    def closed(self) -> list[str]:
        return [f"{each.name}:{each.precision}" for each in self.opened if each.closed]


@pytest.mark.parametrize("fault", [failing, not_numbers])
def test_auto_passes_over_a_precision_that_fails_at_its_first_picture(
    fault: Callable[..., Alpha], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch, "cpu", "torch-cpu")
    machine.broken["cpu:int8"] = fault
    with VideoMatting("cpu") as matter:
        assert matter(PICTURE).mean() > 0
        assert (matter.backend.name, matter.backend.precision) == ("cpu", "bf16")
        assert machine.closed() == ["cpu:int8"]


def test_auto_passes_over_a_device_that_fails_in_every_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch, "cpu", "torch-cpu")
    machine.broken["cpu"] = failing
    backend = load_backend()
    assert backend(BATCH).shape == (64, 64)
    assert backend.name == "torch-cpu"
    assert machine.closed() == ["cpu:int8", "cpu:bf16", "cpu:fp32"]


def test_what_has_worked_once_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "cpu", "torch-cpu")
    calls: list[int] = []

    def second_fails(batch: NDArray[np.float32]) -> Alpha:
        calls.append(1)
        if len(calls) == 2:
            raise BackendError("lost")
        return np.zeros(batch.shape[2:], np.float32)

    machine.broken["cpu"] = second_fails
    backend = load_backend()
    backend(BATCH)
    with pytest.raises(BackendError, match="lost"):
        backend(BATCH)
    assert backend.name == "cpu"


def test_if_all_fail_each_reason_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "cpu")
    machine.broken["cpu"] = failing
    with pytest.raises(BackendError) as caught:
        load_backend()(BATCH)
    assert str(caught.value).count("cpu: bad combination") == len(OFFERED)
    assert "cuda: there is no cuda" in str(caught.value)


def test_nothing_else_is_tried_while_python_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its libraries would be asked what they offer, beside the end of the interpreter."""
    gate = lifetime._Gate()
    monkeypatch.setattr(backends, "under_way", gate.passed)
    machine = Machine(monkeypatch, "cpu", "torch-cpu")
    machine.broken["cpu:int8"] = failing
    backend = load_backend("cpu")
    assert gate.shut(0)
    with pytest.raises(BackendError, match="Python ends"):
        backend(BATCH)
    assert [report.usable for report in backends.survey()] == [False] * len(backends.CANDIDATES)
    assert len(machine.opened) == 1


def test_no_matter_is_made_while_python_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV, too, crashes in a daemon thread that outlives the interpreter."""
    gate = lifetime._Gate()
    monkeypatch.setattr(matter_module, "under_way", gate.passed)
    assert gate.shut(0)
    with pytest.raises(BackendError, match="Python ends"):
        VideoMatting(backend=ConstantBackend(0.5))


def test_a_named_precision_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "cpu", "torch-cpu")
    machine.broken["cpu:int8"] = failing
    with pytest.raises(BackendError, match=r"^bad combination$"):
        load_backend("cpu", "int8")(BATCH)
    assert load_backend("auto", "int8")(BATCH).shape == (64, 64)  # of another device
    assert machine.opened[-1].name == "torch-cpu"


def test_the_first_device_that_computes_is_used_if_the_size_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(monkeypatch, "cpu", "torch-cpu")
    machine.broken["cpu:int8"] = machine.broken["cpu:bf16"] = failing
    name, backend = load_first(
        ["cuda", "cpu", "torch-cpu"],
        "auto",
        "resnet50",
        None,
        lambda opened: try_out(opened, 64, 64),
    )
    assert (name, backend.precision) == ("cpu", "fp32")


def test_a_device_that_composites_is_found_behind_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "cuda")
    backend = load_backend()
    assert graph_backend(backend) is None
    device: object = machine.opened[0]
    device.supports_full_frame = True  # type: ignore[attr-defined]
    assert graph_backend(backend) is device


def test_a_report_names_the_time_of_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "cpu")
    monkeypatch.setattr(backends, "TRIALS_S", 1e-6)
    report = measure("cpu")
    assert report.usable
    assert report.ms is not None
    assert "library, int8, chip; " in report.reason
    assert "ms for an image by ResNet-50, " in report.reason
    assert "ms by the light network (384x224 in the network)" in report.reason
    machine.broken["cpu:int8"] = failing
    assert "bf16 is used because what is faster fails" in measure("cpu").reason
    machine.broken["cpu"] = failing
    report = measure("cpu")
    assert (report.usable, report.ms) == (False, None)
    assert "fails at its first image" in report.reason
    assert "bad combination" in report.reason


def test_what_would_have_to_be_built_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, "tensorrt")
    machine.broken["tensorrt"] = failing
    monkeypatch.setattr(Opened, "ready", lambda *_: False)
    report = measure("tensorrt")
    assert report.usable
    assert "its engine is built by the first run" in report.reason


def test_a_crash_apart_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    crashed = subprocess.CompletedProcess("", -signal.SIGSEGV, b"", b"")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: crashed)
    with pytest.raises(BackendError, match=r"crashed \(SIGSEGV\)"):
        try_apart("report", "cpu")
    assert all("SIGSEGV" in report.reason for report in backends.examine())


def test_a_trial_that_hangs_is_a_refusal() -> None:
    with pytest.raises(BackendError, match=r"no answer within 0\.01 s"):
        try_apart("report", "cpu", patience_s=0.01)


def test_a_processor_on_which_openvino_may_crash_is_tried_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, ...]] = []

    def crash(*arguments: str) -> None:
        asked.append(arguments)
        raise BackendError("a trial crashed (SIGSEGV)")

    monkeypatch.setattr(openvino, "_unusual_processor", lambda: True)
    monkeypatch.setattr(openvino, "try_apart", crash)
    openvino._survives.cache_clear()
    with pytest.raises(BackendError, match=r"int8 on this processor: a trial crashed \(SIGSEGV\)"):
        load_backend("cpu", "int8")(BATCH)
    assert asked == [("openvino", "CPU", "int8")]


def test_which_processors_openvino_may_crash_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    monkeypatch.setattr("cv2.checkHardwareSupport", lambda _: True)
    assert not openvino._unusual_processor()
    with monkeypatch.context() as limited:
        limited.setenv("ONEDNN_MAX_CPU_ISA", "AVX")  # not with OpenVINO loaded: it would keep to it
        assert openvino._unusual_processor()
    monkeypatch.setattr("cv2.checkHardwareSupport", lambda _: False)
    assert openvino._unusual_processor()
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert not openvino._unusual_processor()


def test_a_trial_apart_computes() -> None:
    assert try_apart("openvino", "CPU", "fp32") == {"error": None}


# --- lifetime -------------------------------------------------------------------------------------


class Slow(NativeBackend):
    """A call takes until `released`."""

    def __init__(self) -> None:
        super().__init__("slow", "fp32")
        self.began, self.released, self.freed = threading.Event(), threading.Event(), 0

    def call(self) -> None:
        with self._using():
            self.began.set()
            assert self.released.wait(10)
            assert not self.freed

    def _free(self) -> None:
        self.freed += 1


@contextmanager
def calling(slow: Slow) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=slow.call)
    thread.start()
    assert slow.began.wait(10)
    try:
        yield thread
    finally:
        slow.released.set()
        thread.join()


def test_a_backend_is_freed_after_the_call_under_way() -> None:
    slow = Slow()
    with calling(slow):
        slow.close()
        assert slow.freed == 0
        with pytest.raises(BackendError, match="slow was called after it was closed"):
            slow.call()
    assert slow.freed == 1
    slow.close()
    assert slow.freed == 1


def test_python_ends_only_when_no_call_is_under_way() -> None:
    """A thread in OpenVINO while the interpreter is taken down crashes the process."""
    code = """
import threading, numpy
from vidbg.matting.backends import load_backend
backend = load_backend("cpu", "fp32")
computing = threading.Event()
def compute():
    size = 64
    while True:
        computing.set()
        backend(numpy.zeros((1, 4, size, size), numpy.float32))
        size += 32
threading.excepthook = lambda args: None  # it was closed
threading.Thread(target=compute, daemon=True).start()
computing.wait()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def imported(_: object) -> Alpha:
    """As pybind11 does for a module that is being imported."""
    try:
        raise SystemExit(143)
    except SystemExit as end:
        raise ImportError("initialization failed") from end


def called(_: object) -> Alpha:
    """As OpenVINO does, which keeps the words alone."""
    raise RuntimeError("Exception from src/core.cpp:12:\nSystemExit: 143\n\nAt:\n  app.py(9)")


@pytest.mark.parametrize("fault", [imported, called])
def test_a_signal_that_a_library_swallows_ends_the_program(
    fault: Callable[..., Alpha], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no reason to try the next device."""

    def failing_library(batch: NDArray[np.float32]) -> Alpha:
        with under_way():  # as every backend's calls
            try:
                return fault(batch)
            except (ImportError, RuntimeError) as error:
                raise BackendError(f"cannot be loaded: {error}") from None

    machine = Machine(monkeypatch, "cpu", "torch-cpu")
    machine.broken["cpu"] = failing_library
    with VideoMatting() as matter, pytest.raises(SystemExit) as caught:
        matter(PICTURE)
    assert caught.value.code == 143


def test_a_genuine_error_is_no_interruption() -> None:
    assert interruption(BackendError("bad combination")) is None
    assert isinstance(interruption(RuntimeError("KeyboardInterrupt: \n")), KeyboardInterrupt)


# --- sizes ----------------------------------------------------------------------------------------


def test_the_least_recently_used_makes_room() -> None:
    dropped: list[int] = []
    kept = Kept[str, int](2, dropped.append)
    kept.add("a", 1)
    kept.add("b", 2)
    assert kept.get("a") == 1
    kept.add("c", 3)
    assert (kept.get("b"), kept.get("a"), kept.get("c"), dropped) == (None, 1, 3, [2])
    kept.clear()
    assert (len(kept), dropped) == (0, [2, 1, 3])


def test_what_was_not_used_for_a_while_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(kept_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    dropped: list[int] = []
    kept = Kept[str, int](3, dropped.append)
    kept.add("a", 1)
    kept.add("b", 2)
    now[0] = 50
    assert not kept.drop_unused(60)
    assert kept.get("a") == 1
    now[0] = 70
    assert kept.drop_unused(60)
    assert (kept.get("a"), kept.get("b"), dropped) == (1, None, [2])


def test_openvino_keeps_the_last_few_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = load_backend("cpu", "fp32")
    assert isinstance(backend, openvino.OpenVinoBackend)
    for side in range(64, 64 + 32 * 4, 32):
        backend(np.zeros((1, 4, 64, side), np.float32))
        assert len(backend._requests) <= 2
    monkeypatch.setattr(openvino, "UNUSED_S", -1.0)
    backend(np.zeros((1, 4, 64, 160), np.float32))
    assert len(backend._requests) == 0
    first = backend(np.zeros((1, 4, 64, 64), np.float32))  # compiled anew
    assert first.shape == (64, 64)
    backend.close()
    with pytest.raises(BackendError, match="after it was closed"):
        backend(BATCH)


ALONE = """
import sys
from vidbg.matting.backends import openvino
openvino.load("CPU", "int8", "light", None)
with open("/proc/self/maps") as file:
    maps = file.read()
print([plugin for plugin in ("cpu", "gpu", "npu") if f"intel_{plugin}_plugin" in maps])
print("openvino.tools" in sys.modules)
from openvino.tools.ovc import convert_model  # for other code in the process
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_openvino_loads_what_the_cpu_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == ["['cpu']", "False"]


# --- a closed matter ------------------------------------------------------------------------------


def test_a_closed_matting_computes_no_more() -> None:
    with VideoMatting(backend=ConstantBackend()) as matter:
        matter(PICTURE)  # a still picture would need no network
    for call in (
        lambda: matter(PICTURE),
        lambda: matter.shared_alpha(PICTURE, 1.0, propagates=True),
        lambda: matter.prepare(48, 64, Step("resnet50", 64 * 64)),
    ):
        with pytest.raises(BackendError, match="this VideoMatting is closed"):
            call()
    matter.close()
