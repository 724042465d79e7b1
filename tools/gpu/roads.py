"""Ways to run a network or a full frame with PyTorch: eager, as a CUDA graph, compiled.

All are the program's TorchRunner, so uploads, downloads and pinned memory are the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tools.gpu.measure import timed
from vidbg.config import MattingConfig
from vidbg.errors import ConfigError
from vidbg.frame import Frame, Image
from vidbg.matting.backends.graphs import GraphBindings, GraphPlan, Runner
from vidbg.matting.backends.tensorrt.engine_builder import network_spec
from vidbg.matting.backends.torch_runner import TorchRunner
from vidbg.matting.full_frame.matting_graph import TypedNetwork
from vidbg.pipeline.gpu.full_frame import FullFrame, Ticket

UNDER_WAY = 4
RATE = 30


class EagerRunner(TorchRunner):
    """Every operation is launched anew in each run."""

    def _capture(self) -> None:
        pass


class CompiledRunner(TorchRunner):
    """torch.compile's kernels, captured as the others are."""

    def _capture(self) -> None:
        self._module = torch.compile(self._module, dynamic=False)
        super()._capture()


WAYS: dict[str, type[TorchRunner]] = {
    "CUDA graph": TorchRunner,
    "eager": EagerRunner,
    "compiled": CompiledRunner,
}


class TorchFrames:
    """A device for full frames, as the PyTorch backend is one, for any network and way."""

    supports_full_frame = True
    precision = "fp16"

    def __init__(self, device: str, make_network: Callable[[], Any], way: str) -> None:
        self.name = f"PyTorch {device}, {way}"
        self._device, self._make, self._way = torch.device(device), make_network, way

    def __call__(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        raise ConfigError(f"{self.name} runs graphs, not the network on {batch.shape}")

    def ready(self, height: int, width: int) -> bool:  # noqa: ARG002
        return True

    def prepare(self, height: int, width: int) -> None:
        pass

    def graph_ready(self, plan: GraphPlan) -> bool:  # noqa: ARG002
        return True

    def prepare_graph(self, plan: GraphPlan) -> None:
        pass

    def open_graph(self, plan: GraphPlan, slots: int) -> Runner:
        return WAYS[self._way](plan, self._make(), self._device, slots)

    def close(self) -> None:
        pass


def network_plan(height: int, width: int) -> GraphPlan:
    inputs = {"input": np.zeros((1, 4, height, width), np.float32)}
    spec = network_spec(height, width)
    return GraphPlan(spec, TypedNetwork, inputs, ("alpha",), GraphBindings())


def time_network(device: Any, height: int, width: int, calls: int) -> dict[str, float]:
    """Run a network on a device for graphs; each call copies up and down."""
    rng = np.random.default_rng(0)
    batches = [rng.normal(size=(1, 4, height, width)).astype(np.float32) for _ in range(4)]
    with device.open_graph(network_plan(height, width), 1) as runner:

        def call(number: int) -> Any:
            runner.start(0, {"input": batches[number % 4]})
            return runner.wait(0)

        figures = timed(call, calls)
        return {**figures, **_replays(runner, int(figures["calls"]))}


def _replays(runner: Any, calls: int) -> dict[str, float]:
    """Milliseconds of the device alone, without the bus, where a CUDA graph can say it."""
    graph = getattr(runner, "_graph", None)
    if not isinstance(graph, torch.cuda.CUDAGraph):
        return {}
    with torch.cuda.stream(runner._stream):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        for _ in range(calls):
            graph.replay()
        end.record()
    end.synchronize()
    return {"device_ms": start.elapsed_time(end) / calls}


def time_frames(
    device: Any, images: Sequence[Image], stream: MattingConfig, calls: int
) -> dict[str, float]:
    """Full frames: percentiles of one at a time, and frames a second with several under way."""
    height, width = images[0].shape[:2]
    background = np.full((height, width, 3), (64, 177, 0), np.uint8)
    frames = [
        Frame(images[number % len(images)], number / RATE, number) for number in range(calls + 20)
    ]
    with FullFrame(device, height, width, stream, UNDER_WAY) as whole:
        alone = timed(lambda n: whole.finish(whole.start(frames[n], background)), calls)
        whole.reset()
        together = timed_together(whole, frames[: int(alone["calls"])], background)
        return {**alone, "fps": together, **_replays(whole._runner, int(alone["calls"]))}


def timed_together(whole: FullFrame, frames: Sequence[Frame], background: Image) -> float:
    """Frames a second, the next ones on their way while one is fetched."""
    tickets: list[Ticket] = []
    start = time.perf_counter()
    for frame in frames:
        tickets.append(whole.start(frame, background))
        if len(tickets) == UNDER_WAY:
            whole.finish(tickets.pop(0))
    for ticket in tickets:
        whole.finish(ticket)
    return len(frames) / (time.perf_counter() - start)
