"""Run a graph as a torch module, with inputs and state in tensors that stay on the device.

On CUDA a run is one CUDA graph, and data crosses the bus from and to pinned memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vidbg.errors import BackendError
from vidbg.matting.backends.batch_norm import fold_batch_norms
from vidbg.matting.backends.graphs import Arrays, GraphPlan
from vidbg.util.lifecycle import Closeable

WARM_UP_RUNS = 3
"""Runs before the capture, in which cuDNN picks its algorithms and memory is allocated."""


class TorchRunner(Closeable):
    """Runner of a graph's torch module; see graphs.Runner.

    Args:
        plan: the graph and its size.
        network: an AlphaNetwork in fp32 on the CPU, in evaluation mode, for the graph alone: its
            batch norms are folded.
        device: the torch device.
        slots: runs that may be in flight.
    Raises:
        BackendError: the device failed.
    """

    def __init__(self, plan: GraphPlan, network: Any, device: torch.device, slots: int) -> None:
        self._device, self._bindings, self._names = device, plan.bindings, plan.outputs
        self._on_cuda = device.type == "cuda"
        self._given: dict[str, NDArray[Any]] = {}
        self._state = set(plan.bindings.feedback)
        unread = plan.bindings.device_only
        with _failures():
            fold_batch_norms(network)
            module = plan.module(network).eval().requires_grad_(False)
            self._module: Any = module.to(device, memory_format=torch.channels_last)
            self._stream: Any = torch.cuda.Stream(device) if self._on_cuda else None  # type: ignore[no-untyped-call]
            self._queue: Callable[[], AbstractContextManager[Any]] = (
                partial(torch.cuda.stream, self._stream) if self._on_cuda else nullcontext
            )
            self._inputs = {
                name: torch.zeros(array.shape, dtype=torch.from_numpy(array[:0]).dtype).to(device)
                for name, array in plan.inputs.items()
            }
            given = {name: self._inputs[name] for name in plan.inputs if name not in self._state}
            self._pinned = [self._pinned_copies(given) for _ in range(slots)]
            self._graph: Any = None
            # With `benchmark`, the runs before the capture time cuDNN's algorithms and keep the
            # fastest one for each convolution.
            fastest = torch.backends.cudnn.flags(enabled=True, benchmark=True)
            with torch.inference_mode(), self._queue(), fastest:
                self._outputs = self._compute()
                if self._on_cuda:
                    self._capture()
            read = {name: self._outputs[name] for name in plan.outputs if name not in unread}
            self._results = [self._pinned_copies(read) for _ in range(slots)]
            self._done: list[Any] = []
            if self._on_cuda:
                self._done = [torch.cuda.Event(blocking=True) for _ in range(slots)]  # type: ignore[no-untyped-call]
        self.forget()

    def start(self, slot: int, arrays: Arrays) -> None:
        with _failures(), torch.inference_mode(), self._queue():
            for name, array in arrays.items():
                if self._given.get(name) is not array:
                    if name in self._state:
                        raise ValueError(f"{name} is state, which stays on the device")
                    pinned = self._pinned[slot][name]
                    np.copyto(pinned.numpy(), array)
                    self._inputs[name].copy_(pinned, non_blocking=True)
                    if name in self._bindings.constants:
                        self._given[name] = array
            if self._graph is None:
                self._outputs = self._compute()
            else:
                self._graph.replay()
            for name, landing in self._results[slot].items():
                landing.copy_(self._outputs[name], non_blocking=True)
            if self._on_cuda:
                self._done[slot].record()

    def wait(self, slot: int) -> dict[str, NDArray[Any]]:
        with _failures():
            if self._on_cuda:
                self._done[slot].synchronize()
            return {name: landing.numpy() for name, landing in self._results[slot].items()}

    def forget(self) -> None:
        with _failures(), torch.inference_mode(), self._queue():
            for name in self._state:
                self._inputs[name].zero_()

    def close(self) -> None:
        if self._on_cuda:
            torch.cuda.synchronize(self._device)
        self._graph = self._module = None
        self._inputs, self._outputs, self._pinned, self._results = {}, {}, [], []

    def _compute(self) -> dict[str, torch.Tensor]:
        """Run the module, then copy the state to the next run's inputs."""
        outputs = dict(zip(self._names, self._module(*self._inputs.values()), strict=True))
        for taken, given in self._bindings.feedback.items():
            self._inputs[taken].copy_(outputs[given])
        return outputs

    def _capture(self) -> None:
        """Record a run as a CUDA graph."""
        for _ in range(WARM_UP_RUNS):
            self._compute()
        torch.cuda.synchronize(self._device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            self._outputs = self._compute()
        self._graph = graph

    def _pinned_copies(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return tensors in host memory like these; in pinned memory if the device is a GPU."""
        return {
            name: torch.zeros_like(tensor, device="cpu", pin_memory=self._on_cuda)
            for name, tensor in tensors.items()
        }


@contextmanager
def _failures() -> Iterator[None]:
    """Turn torch's errors into BackendError."""
    try:
        yield
    except RuntimeError as error:
        raise BackendError(f"PyTorch failed: {str(error).splitlines()[0]}") from error
