"""A CUDA runtime and a TensorRT in host memory, for tests without a GPU.

Work runs when it is queued, or is kept during a capture. What a real device allows only in an order
is checked: a slot's buffers are not touched while a run is under way.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbg.matting.backends.tensorrt.package import TensorRtPackage

SUCCESS, FAILURE = 0, 2
KERNELS = b"compiled for the GPU here"
Arrays = dict[str, NDArray[Any]]


class FakeCuda:
    """The functions that Session calls; `fails` names one that fails from now on.

    Attributes:
        memory: blocks by address; empty once everything is given back.
        handles: streams, events and graphs that are there.
        copied: bytes by the kind of copy, since the last clear().
    """

    cudaMemcpyKind = SimpleNamespace(
        cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2, cudaMemcpyDeviceToDevice=3
    )
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal=1)
    cudaEventBlockingSync, cudaEventDisableTiming, cudaStreamNonBlocking = 1, 2, 1

    def __init__(self) -> None:
        self.memory: dict[int, Any] = {}
        self.captured: list[Callable[[], Any]] | None = None
        self.graphs: dict[int, list[Callable[[], Any]]] = {}
        self.handles: set[int] = set()
        self.copied = {1: 0, 2: 0, 3: 0}
        self.launches = 0
        self.fails = ""
        self._last_handle = 6

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("cuda") and name == object.__getattribute__(self, "fails"):
            return lambda *_: (FAILURE, 0)
        return object.__getattribute__(self, name)

    def queue(self, work: Callable[[], Any]) -> None:
        if self.captured is None:
            work()
        else:
            self.captured.append(work)

    def _created(self, *_: Any) -> tuple[int, int]:
        self._last_handle += 1
        self.handles.add(self._last_handle)
        return SUCCESS, self._last_handle

    def _destroyed(self, handle: int) -> tuple[int]:
        self.handles.remove(handle)
        return (SUCCESS,)

    def _done(self, *_: Any) -> tuple[int]:
        return (SUCCESS,)

    def _waited(self, *_: Any) -> tuple[int]:
        assert self.captured is None, "a capture may not wait"
        return (SUCCESS,)

    cudaStreamCreateWithFlags = cudaEventCreateWithFlags = _created
    cudaStreamDestroy = cudaEventDestroy = cudaGraphDestroy = cudaGraphExecDestroy = _destroyed
    cudaEventRecord = cudaStreamWaitEvent = _done
    cudaStreamSynchronize = cudaEventSynchronize = cudaDeviceSynchronize = _waited

    def cudaMalloc(self, size: int) -> tuple[int, int]:
        block = ctypes.create_string_buffer(b"\xff" * size, size)  # not a number, till written
        self.memory[ctypes.addressof(block)] = block
        return SUCCESS, ctypes.addressof(block)

    cudaMallocHost = cudaMalloc

    def cudaFree(self, address: int) -> tuple[int]:
        del self.memory[address]
        return (SUCCESS,)

    cudaFreeHost = cudaFree

    def cudaMemcpyAsync(self, to: int, source: int, size: int, kind: int, _: int) -> tuple[int]:
        def copy() -> None:
            self.copied[kind] += size
            ctypes.memmove(to, source, size)

        self.queue(copy)
        return (SUCCESS,)

    def cudaMemsetAsync(self, address: int, value: int, size: int, _stream: int) -> tuple[int]:
        self.queue(lambda: ctypes.memset(address, value, size))
        return (SUCCESS,)

    def cudaStreamBeginCapture(self, _stream: int, _mode: int) -> tuple[int]:
        self.captured = []
        return (SUCCESS,)

    def cudaStreamEndCapture(self, _stream: int) -> tuple[int, int]:
        work, self.captured = self.captured or [], None
        done, handle = self._created()
        self.graphs[handle] = work
        return done, handle

    def cudaGraphInstantiate(self, graph: int, _flags: int) -> tuple[int, int]:
        done, handle = self._created()
        self.graphs[handle] = self.graphs[graph]
        return done, handle

    def cudaGraphLaunch(self, executable: int, _stream: int) -> tuple[int]:
        self.launches += 1
        for work in self.graphs[executable]:
            work()
        return (SUCCESS,)


class Mode(IntEnum):
    INPUT, OUTPUT = 1, 2


class FakeEngine:
    """An engine that computes with numpy; its own context, runtime config and cache of kernels.

    Attributes:
        compiled: how often its kernels were.

    Args:
        inputs, outputs: arrays of each tensor's shape and type.
        compute: from the inputs to the outputs.
    """

    def __init__(
        self,
        runtime: FakeCuda,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Mapping[str, NDArray[Any]],
        compute: Callable[[Arrays], Mapping[str, NDArray[Any]]],
    ) -> None:
        self.runtime, self.engine, self.compute = runtime, self, compute
        self.inputs, self.outputs = inputs, outputs
        self.tensors = {**inputs, **outputs}
        self.num_io_tensors = len(self.tensors)
        self.addresses: dict[str, int] = {}
        self.compiled = 0
        self._kernels = b""

    def create_execution_context(self, runtime_config: FakeEngine | None = None) -> FakeEngine:
        if runtime_config is None or not self._kernels:
            self.compiled += 1
            self._kernels = KERNELS
        return self

    def create_runtime_config(self) -> FakeEngine:
        return self

    def create_runtime_cache(self) -> FakeEngine:
        self._kernels = b""
        return self

    def set_runtime_cache(self, cache: FakeEngine) -> None:
        assert cache is self

    def deserialize(self, blob: bytes) -> bool:
        fits = blob == KERNELS
        self._kernels = blob if fits else b""
        return fits

    def serialize(self) -> bytes:
        return self._kernels

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_dtype(self, name: str) -> np.dtype[Any]:
        return self.tensors[name].dtype

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def get_tensor_mode(self, name: str) -> Mode:
        return Mode.INPUT if name in self.inputs else Mode.OUTPUT

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def execute_async_v3(self, _stream: int) -> bool:
        addresses = dict(self.addresses)  # a captured launch keeps the addresses of its capture
        self.runtime.queue(lambda: self._compute(addresses))
        return True

    def _compute(self, addresses: dict[str, int]) -> None:
        views = {name: self._view(name, address) for name, address in addresses.items()}
        results = self.compute({name: views[name] for name in self.inputs})
        for name, result in results.items():
            views[name][...] = result

    def _view(self, name: str, address: int) -> NDArray[Any]:
        like = self.tensors[name]
        block = self.runtime.memory[address]
        return np.frombuffer(block, like.dtype, like.size).reshape(like.shape)


class _Logger:
    Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2)


def fake_package(engines: Mapping[bytes, FakeEngine], name: str = "tensorrt") -> TensorRtPackage:
    """Make a TensorRT that loads these engines by their serialised form and refuses others."""
    api = SimpleNamespace(
        ILogger=_Logger,
        TensorIOMode=Mode,
        nptype=np.dtype,
        Runtime=lambda _log: SimpleNamespace(deserialize_cuda_engine=engines.get),
    )
    return TensorRtPackage(name, "11.4", api)
