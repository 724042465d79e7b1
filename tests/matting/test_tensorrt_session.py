"""Running engines, with a CUDA that computes on the CPU: memory, capture, replay, release."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_cuda import KERNELS, Arrays, FakeCuda, FakeEngine, fake_package

from vidbg.errors import BackendError
from vidbg.matting.backends import tensorrt
from vidbg.matting.backends.graphs import GraphBindings
from vidbg.matting.backends.tensorrt import TensorRtBackend, cuda
from vidbg.matting.backends.tensorrt.package import TensorRtPackage
from vidbg.matting.backends.tensorrt.session import Session

INPUT, ALPHA = np.zeros((1, 4, 32, 64), np.float32), np.zeros((1, 1, 32, 64), np.float32)
NUMBER = np.zeros(1, np.float32)


@pytest.fixture
def fake(runtime: FakeCuda) -> TensorRtPackage:
    """`plan` is a network whose alpha is the mean of its input; `sum` adds up what it is given."""

    def mean(arrays: Arrays) -> Arrays:
        return {"alpha": arrays["input"].mean(axis=1, keepdims=True)}

    def add(arrays: Arrays) -> Arrays:
        total = arrays["past"] + arrays["step"] * arrays["weight"]
        return {"total": total, "double": 2 * total, "next": total}

    step = {"step": NUMBER, "weight": NUMBER, "past": NUMBER}
    sums = {"total": NUMBER, "double": NUMBER, "next": NUMBER}
    return fake_package(
        {
            b"plan": FakeEngine(runtime, {"input": INPUT}, {"alpha": ALPHA}, mean),
            b"sum": FakeEngine(runtime, step, sums, add),
        }
    )


File = Callable[[str], Path]


@pytest.fixture
def file(tmp_path: Path) -> File:
    """Write an engine's file."""

    def write(content: str) -> Path:
        path = tmp_path / "an.engine"
        path.write_text(content)
        return path

    return write


def test_each_run_uploads_computes_and_downloads(
    fake: TensorRtPackage, runtime: FakeCuda, file: File
) -> None:
    with Session(fake, file("plan")) as opened:
        for value in (3.0, 5.0):
            opened.start(0, {"input": np.full_like(INPUT, value)})
            assert (opened.wait(0)["alpha"] == value).all()
        assert runtime.launches == 2
    assert runtime.memory == {}
    assert runtime.handles == set()
    opened.close()


SUMS = GraphBindings(
    constants=frozenset({"weight"}),
    feedback={"past": "next"},
    device_only=frozenset({"double", "next"}),
)


def number(value: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array([value], np.float32)


def test_state_stays_on_the_device_and_is_handed_on(
    fake: TensorRtPackage, runtime: FakeCuda, file: File
) -> None:
    weight = number(10)
    with Session(fake, file("sum"), SUMS, slots=2) as opened:
        runtime.copied = dict.fromkeys(runtime.copied, 0)
        totals = []
        for run in range(4):
            opened.start(run % 2, {"step": number(run), "weight": weight})
            outputs = opened.wait(run % 2)
            assert list(outputs) == ["total"]
            totals.append(float(outputs["total"][0]))
        assert totals == [0, 10, 30, 60]
        # The weight went up once a slot, the step each time, the total down each time.
        assert runtime.copied == {1: 4 * (4 + 2), 2: 4 * 4, 3: 4 * 4}
        opened.forget()
        opened.start(0, {"step": number(1), "weight": number(2)})
        assert opened.wait(0)["total"] == 2
        with pytest.raises(ValueError, match="past is state"):
            opened.start(1, {"past": number(0)})
    assert runtime.memory == {}
    assert runtime.handles == set()


def test_two_runs_may_be_under_way(fake: TensorRtPackage, file: File) -> None:
    with Session(fake, file("sum"), SUMS, slots=2) as opened:
        opened.start(0, {"step": number(1), "weight": number(1)})
        opened.start(1, {"step": number(2), "weight": number(1)})
        assert (opened.wait(0)["total"][0], opened.wait(1)["total"][0]) == (1, 3)


@pytest.mark.parametrize("name", ["cudaMalloc", "cudaGraphInstantiate", "cudaMemsetAsync"])
def test_a_failure_releases_everything(
    fake: TensorRtPackage, runtime: FakeCuda, file: File, name: str
) -> None:
    runtime.fails = name
    with pytest.raises(BackendError, match=f"{name} failed: 2"):
        Session(fake, file("plan"))
    assert runtime.memory == {}
    assert runtime.handles == set()


def test_every_simulated_function_exists_in_cuda() -> None:
    """Every function and constant of the simulation is one of CUDA's."""
    real = pytest.importorskip("cuda.bindings.runtime")
    names = [name for name in vars(FakeCuda) if name.startswith("cuda")]
    assert len(names) > 20
    for name in names:
        assert hasattr(real, name), name
    for space in ("cudaMemcpyKind", "cudaStreamCaptureMode"):
        for name in vars(getattr(FakeCuda, space)):
            assert hasattr(getattr(real, space), name), name


@pytest.mark.usefixtures("runtime")
def test_a_refused_engine(fake: TensorRtPackage, file: File) -> None:
    with pytest.raises(BackendError, match=r"tensorrt 11\.4 cannot load the engine"):
        Session(fake, file("of another GPU"))


@pytest.fixture
def portable(runtime: FakeCuda) -> FakeEngine:
    return FakeEngine(runtime, {"past": NUMBER}, {"next": NUMBER}, lambda _: {"next": NUMBER})


def opened_by(engine: FakeEngine, name: str, path: Path) -> int:
    """How often the engine's kernels were compiled, once it has been opened again."""
    Session(fake_package({b"plan": engine}, name), path).close()
    return engine.compiled


def test_kernels_that_rtx_compiles_are_kept(portable: FakeEngine, file: File) -> None:
    path = file("plan")
    kept = path.with_suffix(".kernels")
    assert [opened_by(portable, "tensorrt_rtx", path) for _ in range(3)] == [1, 1, 1]
    assert kept.read_bytes() == KERNELS
    kept.write_bytes(b"of another GPU")
    assert [opened_by(portable, "tensorrt_rtx", path) for _ in range(2)] == [2, 2]
    assert sorted(p.name for p in path.parent.iterdir()) == ["an.engine", "an.kernels"]


def test_engines_of_tensorrt_hold_their_kernels(portable: FakeEngine, file: File) -> None:
    path = file("plan")
    opened_by(portable, "tensorrt", path)
    assert not path.with_suffix(".kernels").exists()


def test_kernels_that_cannot_be_kept(
    portable: FakeEngine, file: File, caplog: pytest.LogCaptureFixture
) -> None:
    path = file("plan")
    path.with_suffix(".kernels").mkdir()
    assert [opened_by(portable, "tensorrt_rtx", path) for _ in range(2)] == [1, 2]
    assert "kernels cannot be kept" in caplog.text


def test_kernels_are_kept_by_what_rtx_has() -> None:
    """Every call of the simulation that keeps kernels is one of the package's."""
    real = pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx-cu13")
    for space, names in {
        "ICudaEngine": ["create_runtime_config", "create_execution_context"],
        "IRuntimeConfig": ["create_runtime_cache", "set_runtime_cache"],
        "IRuntimeCache": ["serialize", "deserialize"],
    }.items():
        for name in names:
            assert hasattr(getattr(real, space), name), name
            assert hasattr(FakeEngine, name), name
    assert "runtime_config:" in real.ICudaEngine.create_execution_context.__doc__


def test_the_backend_keeps_a_session_a_size(
    fake: TensorRtPackage, runtime: FakeCuda, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "engine").write_bytes(b"plan")
    asked: list[str] = []

    def cached(_package: TensorRtPackage, spec: Any, target: str) -> Any:
        asked.append(f"{spec.size} {target}")
        return tmp_path / "engine"

    monkeypatch.setattr(tensorrt, "cached_engine", cached)
    backend = TensorRtBackend(fake, "H100 9.0")
    batch = np.full(INPUT.shape, 0.5, np.float32)
    first = backend(batch)
    assert (first == 0.5).all()
    assert not np.shares_memory(first, backend(batch * 0))
    assert (first == 0.5).all()
    assert asked == ["64x32 H100 9.0"]
    backend.close()
    backend.close()
    assert runtime.memory == {}
    with pytest.raises(BackendError, match="closed"):
        backend(batch)


def test_the_gpu_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(name=b"NVIDIA H100\0\0", major=9, minor=0)
    fake = SimpleNamespace(
        cudaGetDeviceCount=lambda: (0, 1), cudaGetDeviceProperties=lambda _: (0, properties)
    )
    monkeypatch.setattr(cuda, "load_runtime", lambda: fake)
    gpu = cuda.find_gpu()
    assert (gpu.name, gpu.compute_capability) == ("NVIDIA H100", "9.0")
    fake.cudaGetDeviceCount = lambda: (0, 0)
    with pytest.raises(BackendError, match="no NVIDIA GPU here"):
        cuda.find_gpu()
