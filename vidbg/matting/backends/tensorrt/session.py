"""Run an engine: pinned buffers, device buffers, CUDA graphs and three streams that overlap."""

from __future__ import annotations

import ctypes
import math
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbg.errors import BackendError
from vidbg.matting.backends.graphs import Arrays, GraphBindings
from vidbg.matting.backends.tensorrt.cuda import call, load_runtime
from vidbg.matting.backends.tensorrt.package import TensorRtPackage, open_log
from vidbg.matting.backends.tensorrt.runtime_cache import RuntimeCache
from vidbg.util.lifecycle import Closeable

WARM_UP_RUNS = 2
"""Runs before a CUDA graph is captured: a capture may not compile or allocate anything."""


@dataclass(slots=True)
class _Tensor:
    """One of the engine's tensors.

    Attributes:
        device: address of its memory on the device.
        pinned: its copy in pinned host memory; None if it never crosses the bus.
    """

    name: str
    device: int
    size: int
    pinned: NDArray[Any] | None


@dataclass(slots=True)
class _Slot:
    """What a run in flight does not share with others."""

    inputs: dict[str, _Tensor] = field(default_factory=dict)
    outputs: dict[str, _Tensor] = field(default_factory=dict)
    given: dict[str, NDArray[Any]] = field(default_factory=dict)
    graph: Any = None
    uploaded: Any = None
    computed: Any = None
    downloaded: Any = None


class Session(Closeable):
    """Runs one engine many times; see graphs.Runner.

    Each slot has its own buffers for the tensors that cross the bus, so one run is uploaded and
    another downloaded while a third is computed. All slots share the state's buffers.

    Args:
        engine_file: a serialised engine of static shapes.
        bindings: which tensors cross the bus, and which feed the next run.
        slots: runs that may be in flight.
    Raises:
        BackendError: the engine does not fit this GPU or TensorRT, or CUDA failed.
    """

    def __init__(
        self,
        package: TensorRtPackage,
        engine_file: Path,
        bindings: GraphBindings | None = None,
        slots: int = 1,
    ) -> None:
        self._cuda = load_runtime()
        self._call = partial(call, self._cuda)
        self._package = package
        self._bindings = bindings or GraphBindings()
        self._owned = ExitStack()
        self._kept: dict[str, _Tensor] = {}
        self._slots: list[_Slot] = []
        try:
            self._runtime_cache = RuntimeCache(package, engine_file)
            log = open_log(package)
            engine = package.api.Runtime(log).deserialize_cuda_engine(engine_file.read_bytes())
            context = None if engine is None else self._runtime_cache.open_context(engine)
            if context is None:
                raise package.error("cannot load the engine", log)
            self._context = context
            flags = self._cuda.cudaStreamNonBlocking
            self._upload, self._compute, self._download = (
                self._own("cudaStreamCreateWithFlags", "cudaStreamDestroy", flags) for _ in range(3)
            )
            self._owned.callback(self._cuda.cudaDeviceSynchronize)  # before anything is freed
            for _ in range(slots):
                self._slots.append(self._slot())
            self._runtime_cache.keep()
            self.forget()
        except BaseException:
            self.close()
            raise

    def start(self, slot: int, arrays: Arrays) -> None:
        at = self._slots[slot]
        for name, array in arrays.items():
            if at.given.get(name) is array:
                continue
            tensor = at.inputs[name]
            if tensor.pinned is None:
                raise ValueError(f"{name} is state, which stays on the device")
            tensor.pinned[...] = array
            if name in self._bindings.constants:
                at.given[name] = array
            source = tensor.pinned.ctypes.data
            self._copy(tensor.device, source, tensor, "HostToDevice", self._upload)
        # Each stream waits for the one before it by an event
        self._call("cudaEventRecord", at.uploaded, self._upload)
        self._call("cudaStreamWaitEvent", self._compute, at.uploaded, 0)
        self._call("cudaGraphLaunch", at.graph, self._compute)
        self._call("cudaEventRecord", at.computed, self._compute)
        self._call("cudaStreamWaitEvent", self._download, at.computed, 0)
        for tensor in at.outputs.values():
            if tensor.pinned is not None:
                to = tensor.pinned.ctypes.data
                self._copy(to, tensor.device, tensor, "DeviceToHost", self._download)
        self._call("cudaEventRecord", at.downloaded, self._download)

    def wait(self, slot: int) -> dict[str, NDArray[Any]]:
        at = self._slots[slot]
        self._call("cudaEventSynchronize", at.downloaded)
        return {t.name: t.pinned for t in at.outputs.values() if t.pinned is not None}

    def forget(self) -> None:
        for name in self._bindings.feedback:
            state = self._kept[name]
            self._call("cudaMemsetAsync", state.device, 0, state.size, self._compute)

    def close(self) -> None:
        self._slots.clear()
        self._owned.close()
        self._context = None  # before the runtime cache, which it uses

    def _slot(self) -> _Slot:
        """Make a slot's buffers and events, and a CUDA graph with the buffers' addresses."""
        slot = _Slot()
        engine = self._context.engine
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            is_input = engine.get_tensor_mode(name) == self._package.api.TensorIOMode.INPUT
            tensor = self._tensor(name)
            (slot.inputs if is_input else slot.outputs)[name] = tensor
            self._context.set_tensor_address(name, tensor.device)
        flags = self._cuda.cudaEventDisableTiming | self._cuda.cudaEventBlockingSync
        slot.uploaded, slot.computed, slot.downloaded = (
            self._own("cudaEventCreateWithFlags", "cudaEventDestroy", flags) for _ in range(3)
        )
        slot.graph = self._capture(slot)
        return slot

    def _tensor(self, name: str) -> _Tensor:
        """Allocate a tensor for one slot, or once for all slots; filled with zeros."""
        if name in self._kept:
            return self._kept[name]
        engine = self._context.engine
        kind = np.dtype(self._package.api.nptype(engine.get_tensor_dtype(name)))
        shape = tuple(engine.get_tensor_shape(name))
        size = math.prod(shape) * kind.itemsize
        stays = name in self._bindings.feedback or name in self._bindings.device_only
        pinned = None
        if not stays:
            address = int(self._own("cudaMallocHost", "cudaFreeHost", size))
            memory = (ctypes.c_byte * size).from_address(address)
            pinned = np.frombuffer(memory, kind).reshape(shape)
            pinned[...] = 0
        tensor = _Tensor(name, int(self._own("cudaMalloc", "cudaFree", size)), size, pinned)
        self._call("cudaMemsetAsync", tensor.device, 0, size, self._compute)
        if stays:
            self._kept[name] = tensor
        return tensor

    def _capture(self, slot: _Slot) -> Any:
        """Return a CUDA graph of one run."""
        for _ in range(WARM_UP_RUNS):
            self._enqueue(slot)
            self._call("cudaStreamSynchronize", self._compute)
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self._compute, mode)
        self._enqueue(slot)
        captured = self._own("cudaStreamEndCapture", "cudaGraphDestroy", self._compute)
        return self._own("cudaGraphInstantiate", "cudaGraphExecDestroy", captured, 0)

    def _enqueue(self, slot: _Slot) -> None:
        """Compute, then copy the state to the next run's inputs."""
        if not self._context.execute_async_v3(int(self._compute)):
            raise BackendError("TensorRT could not run the engine")
        for taken, given in self._bindings.feedback.items():
            source, target = slot.outputs[given], slot.inputs[taken]
            self._copy(target.device, source.device, source, "DeviceToDevice", self._compute)

    def _copy(self, to: int, source: int, tensor: _Tensor, way: str, stream: Any) -> None:
        kind = getattr(self._cuda.cudaMemcpyKind, f"cudaMemcpy{way}")
        self._call("cudaMemcpyAsync", to, source, tensor.size, kind, stream)

    def _own(self, create: str, destroy: str, *arguments: Any) -> Any:
        """Create something by CUDA's functions that is destroyed when the session is closed."""
        handle = self._call(create, *arguments)
        self._owned.callback(getattr(self._cuda, destroy), handle)
        return handle
