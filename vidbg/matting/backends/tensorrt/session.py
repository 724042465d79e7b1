"""An engine at work: pinned buffers, device buffers, one CUDA graph from upload to download."""

from __future__ import annotations

import ctypes
import math
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbg.closing import Closing
from vidbg.errors import BackendError
from vidbg.matting.backends.tensorrt.cuda import call, load_runtime
from vidbg.matting.backends.tensorrt.flavour import Flavour, open_log

WARM_UP_RUNS = 2
"""Before the graph is captured: what compiles or allocates at first use may not be captured."""


class Session(Closing):
    """Runs one engine again and again.

    Attributes:
        inputs, outputs: pinned arrays by the engine's names. Fill the inputs, call `run`, read the
            outputs before the next run; views that end with the session.

    Args:
        plan: a serialised engine of static shapes.
    Raises:
        BackendError: the engine does not fit this GPU or TensorRT, or CUDA failed.
    """

    def __init__(self, flavour: Flavour, plan: bytes) -> None:
        self._cuda = load_runtime()
        self._owned = ExitStack()
        self.inputs: dict[str, NDArray[Any]] = {}
        self.outputs: dict[str, NDArray[Any]] = {}
        self._on_device: dict[str, int] = {}
        try:
            self._context = _deserialise(flavour, plan)
            self._stream = self._own("cudaStreamCreate", "cudaStreamDestroy")
            for index in range(self._context.engine.num_io_tensors):
                self._bind(flavour, self._context.engine.get_tensor_name(index))
            self._graph = self._capture()
        except BaseException:
            self.close()
            raise

    def run(self) -> None:
        """Upload the inputs, compute, download the outputs; returns when they are there.

        Raises:
            BackendError: CUDA failed.
        """
        call(self._cuda, "cudaGraphLaunch", self._graph, self._stream)
        call(self._cuda, "cudaStreamSynchronize", self._stream)

    def close(self) -> None:
        self.inputs.clear()
        self.outputs.clear()
        self._owned.close()

    def _own(self, create: str, destroy: str, *arguments: Any) -> Any:
        handle = call(self._cuda, create, *arguments)
        self._owned.callback(getattr(self._cuda, destroy), handle)
        return handle

    def _bind(self, flavour: Flavour, name: str) -> None:
        """Pinned memory, device memory and an address for one of the engine's tensors."""
        engine = self._context.engine
        kind = np.dtype(flavour.api.nptype(engine.get_tensor_dtype(name)))
        shape = tuple(engine.get_tensor_shape(name))
        size = math.prod(shape) * kind.itemsize
        address = int(self._own("cudaMallocHost", "cudaFreeHost", size))
        pinned = np.frombuffer((ctypes.c_byte * size).from_address(address), kind).reshape(shape)
        pinned[...] = 0
        is_input = engine.get_tensor_mode(name) == flavour.api.TensorIOMode.INPUT
        (self.inputs if is_input else self.outputs)[name] = pinned
        self._on_device[name] = int(self._own("cudaMalloc", "cudaFree", size))
        self._context.set_tensor_address(name, self._on_device[name])

    def _capture(self) -> Any:
        for _ in range(WARM_UP_RUNS):
            self._enqueue()
            call(self._cuda, "cudaStreamSynchronize", self._stream)
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        call(self._cuda, "cudaStreamBeginCapture", self._stream, mode)
        self._enqueue()
        captured = self._own("cudaStreamEndCapture", "cudaGraphDestroy", self._stream)
        return self._own("cudaGraphInstantiate", "cudaGraphExecDestroy", captured, 0)

    def _enqueue(self) -> None:
        for name, pinned in self.inputs.items():
            self._copy(self._on_device[name], pinned.ctypes.data, pinned.nbytes, "HostToDevice")
        if not self._context.execute_async_v3(int(self._stream)):
            raise BackendError("TensorRT could not run the engine")
        for name, pinned in self.outputs.items():
            self._copy(pinned.ctypes.data, self._on_device[name], pinned.nbytes, "DeviceToHost")

    def _copy(self, to: int, source: int, size: int, way: str) -> None:
        kind = getattr(self._cuda.cudaMemcpyKind, f"cudaMemcpy{way}")
        call(self._cuda, "cudaMemcpyAsync", to, source, size, kind, self._stream)


def _deserialise(flavour: Flavour, plan: bytes) -> Any:
    log = open_log(flavour)
    engine = flavour.api.Runtime(log).deserialize_cuda_engine(plan)
    context = None if engine is None else engine.create_execution_context()
    if context is None:
        why = log.errors[0] if log.errors else "no reason given"
        raise BackendError(f"{flavour.name} {flavour.version} cannot load the engine: {why}")
    return context
