"""How engines are run, with a CUDA that computes on the CPU: memory, capture, replay, release."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vidbg.errors import BackendError
from vidbg.matting.backends import tensorrt
from vidbg.matting.backends.tensorrt import TensorRtBackend, cuda, session
from vidbg.matting.backends.tensorrt.flavour import Flavour
from vidbg.matting.backends.tensorrt.session import Session

SHAPES = {"input": (1, 4, 32, 64), "alpha": (1, 1, 32, 64)}
SUCCESS, FAILURE = 0, 2


class FakeCuda:
    """CUDA's runtime on host memory: work runs when queued, or is kept during a capture."""

    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)

    def __init__(self) -> None:
        self.memory: dict[int, Any] = {}
        self.captured: list[Callable[[], Any]] | None = None
        self.handles: set[str] = set()
        self.launches = 0
        self.fails = ""

    def cudaStreamDestroy(self, handle: str) -> tuple[int]:
        self.handles.remove(handle)
        return (SUCCESS,)

    cudaGraphDestroy = cudaGraphExecDestroy = cudaStreamDestroy

    def _created(self, handle: str) -> tuple[int, str]:
        self.handles.add(handle)
        return SUCCESS, handle

    def queue(self, work: Callable[[], Any]) -> None:
        if self.captured is None:
            work()
        else:
            self.captured.append(work)

    def cudaStreamCreate(self) -> tuple[int, str]:
        return self._created("7")

    def cudaMalloc(self, size: int) -> tuple[int, ...]:
        if self.fails == "cudaMalloc":
            return FAILURE, 0
        block = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(block)] = block
        return SUCCESS, ctypes.addressof(block)

    def cudaFree(self, address: int) -> tuple[int]:
        del self.memory[address]
        return (SUCCESS,)

    def cudaMallocHost(self, size: int) -> tuple[int, ...]:
        block = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(block)] = block
        return SUCCESS, ctypes.addressof(block)

    cudaFreeHost = cudaFree

    def cudaMemcpyAsync(self, to: int, source: int, size: int, _kind: int, _s: str) -> tuple[int]:
        self.queue(lambda: ctypes.memmove(to, source, size))
        return (SUCCESS,)

    def cudaStreamSynchronize(self, _stream: str) -> tuple[int]:
        assert self.captured is None, "a capture may not wait"
        return (SUCCESS,)

    def cudaStreamBeginCapture(self, _stream: str, _mode: int) -> tuple[int]:
        self.captured = []
        return (SUCCESS,)

    def cudaStreamEndCapture(self, _stream: str) -> tuple[int, str]:
        self.work, self.captured = self.captured or [], None
        return self._created("graph")

    def cudaGraphInstantiate(self, _graph: str, _flags: int) -> tuple[int, str]:
        return self._created("executable")

    def cudaGraphLaunch(self, _executable: str, _stream: str) -> tuple[int]:
        self.launches += 1
        for work in self.work:
            work()
        return (SUCCESS,)


class Mode(IntEnum):
    INPUT, OUTPUT = 1, 2


class FakeEngine:
    """An engine whose alpha is the mean of its input's channels; its own context."""

    def __init__(self, runtime: FakeCuda) -> None:
        self.runtime, self.engine = runtime, self
        self.num_io_tensors = len(SHAPES)
        self.addresses: dict[str, int] = {}

    def create_execution_context(self) -> FakeEngine:
        return self

    def get_tensor_name(self, index: int) -> str:
        return list(SHAPES)[index]

    def get_tensor_dtype(self, _name: str) -> str:
        return "float32"

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return SHAPES[name]

    def get_tensor_mode(self, name: str) -> Mode:
        return Mode.INPUT if name == "input" else Mode.OUTPUT

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == 7
        self.runtime.queue(self._compute)
        return True

    def _compute(self) -> None:
        source, result = (self._array(name) for name in SHAPES)
        result[...] = source.mean(axis=1, keepdims=True)

    def _array(self, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        block = self.runtime.memory[self.addresses[name]]
        return np.frombuffer(block, np.float32, int(np.prod(SHAPES[name]))).reshape(SHAPES[name])


class FakeLogger:
    Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    fake = FakeCuda()
    monkeypatch.setattr(session, "load_runtime", lambda: fake)
    return fake


@pytest.fixture
def fake(runtime: FakeCuda) -> Flavour:
    def load(plan: bytes) -> FakeEngine | None:
        return FakeEngine(runtime) if plan == b"plan" else None

    api = SimpleNamespace(
        ILogger=FakeLogger,
        TensorIOMode=Mode,
        nptype=np.dtype,
        Runtime=lambda _log: SimpleNamespace(deserialize_cuda_engine=load),
    )
    return Flavour("tensorrt", "11.4", api)


def test_each_run_uploads_computes_and_downloads(fake: Flavour, runtime: FakeCuda) -> None:
    with Session(fake, b"plan") as opened:
        for value in (3.0, 5.0):
            opened.inputs["input"][...] = value
            opened.run()
            assert (opened.outputs["alpha"] == value).all()
        assert runtime.launches == 2
    assert runtime.memory == {}
    assert runtime.handles == set()
    opened.close()


def test_a_failure_on_the_way_gives_everything_back(fake: Flavour, runtime: FakeCuda) -> None:
    runtime.fails = "cudaMalloc"
    with pytest.raises(BackendError, match="cudaMalloc failed: 2"):
        Session(fake, b"plan")
    assert runtime.memory == {}
    assert runtime.handles == set()


@pytest.mark.usefixtures("runtime")
def test_a_refused_engine(fake: Flavour) -> None:
    with pytest.raises(BackendError, match=r"tensorrt 11\.4 cannot load the engine"):
        Session(fake, b"of another GPU")


def test_the_backend_keeps_a_session_a_size(
    fake: Flavour, runtime: FakeCuda, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "engine").write_bytes(b"plan")
    asked: list[str] = []

    def cached(_flavour: Flavour, recipe: Any, target: str) -> Any:
        asked.append(f"{recipe.size} {target}")
        return tmp_path / "engine"

    monkeypatch.setattr(tensorrt, "cached_engine", cached)
    backend = TensorRtBackend(fake, "H100 9.0")
    batch = np.full(SHAPES["input"], 0.5, np.float32)
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
