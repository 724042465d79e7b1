"""Measure a device: its ceilings, the floor of a network, and the times of single calls."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vidbg.benchmark.benchmark import percentiles_ms
from vidbg.errors import VidbgError

logger = logging.getLogger(__name__)

MATRIX, COPIED_BYTES = 8192, 2**30
WARM_UP = 20
TIMED_S = 0.8
"""After which no further call is timed: the slower the fewer."""


class TimeIsUp(RuntimeError):
    """A measurement lasted longer than it was given."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Interrupt the main thread's block after so many seconds.

    Raises:
        TimeIsUp: it lasted longer; at once if there are none left.
    """
    if seconds <= 0:
        raise TimeIsUp("left out: the step's time was spent")

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeIsUp(f"stopped after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(measure: Callable[[], Any]) -> Any:
    """Return the measurement, or `error`: the first line of why it failed.

    Whatever goes wrong with one figure, the others are still wanted: the machine is there once.
    """
    try:
        return measure()
    except Exception as error:
        logger.info("not measured", exc_info=True)
        words = str(error).strip().splitlines() or [""]
        known = isinstance(error, VidbgError | TimeIsUp)
        return {"error": words[0] if known else f"{type(error).__name__}: {words[0]}"}


def ceilings(device: str) -> dict[str, float]:
    """Operations and bytes a second that this device reaches: matrix products, and copies within
    it, up to it and down from it.
    """
    on_gpu = device == "cuda"
    side = MATRIX if on_gpu else 256
    count = COPIED_BYTES if on_gpu else 2**22
    source = torch.randint(0, 255, (count,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    host = torch.empty(count // 4, dtype=torch.uint8, pin_memory=on_gpu)
    quarter = source[: count // 4]
    figures = {"bytes_s": 2 * count / best_time(device, lambda: target.copy_(source))}
    figures["up_bytes_s"] = count / 4 / best_time(device, lambda: quarter.copy_(host))
    figures["down_bytes_s"] = count / 4 / best_time(device, lambda: host.copy_(quarter))
    kinds = {"flops": torch.float16, "bf16_flops": torch.bfloat16}
    for name, kind in kinds.items() if on_gpu else [("flops", torch.float32)]:
        one = torch.randn(side, side, device=device).to(kind)
        figures[name] = 2 * side**3 / best_time(device, lambda: one @ one)  # noqa: B023
    return figures


def best_time(device: str, work: Callable[[], Any]) -> float:
    """Return the shortest of ten times, in seconds, after two for warming up."""
    times = []
    for _ in range(12):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return min(times[2:])


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def timed(call: Callable[[int], Any], calls: int) -> dict[str, float]:
    """Percentiles of single calls in milliseconds, and calls a second, one after the other.

    Args:
        calls: at most.
        call: takes the call's number, and returns when its result is in host memory.
    """
    for number in range(min(WARM_UP, calls)):
        call(number)
    seconds: list[float] = []
    while len(seconds) < calls and sum(seconds) < TIMED_S:
        start = time.perf_counter()
        call(len(seconds))
        seconds.append(time.perf_counter() - start)
    return {**percentiles_ms(seconds), "fps": len(seconds) / sum(seconds), "calls": len(seconds)}


def floor(network: Any, height: int, width: int, peaks: dict[str, float]) -> dict[str, float]:
    """Return the least time for the convolutions' operations and for their tensors in fp16.

    Each convolution's input, output and weights cross the memory once; fusion can save part of
    that, so the floor by bytes is one of unfused layers.

    Args:
        network: has `logits` as MattingNetwork does, in fp32 on the CPU.
    """
    values = 0

    def count(module: nn.Module, taken: tuple[torch.Tensor, ...], given: torch.Tensor) -> None:
        nonlocal values
        weights = sum(parameter.numel() for parameter in module.parameters())
        values += taken[0].numel() + given.numel() + weights

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.logits(torch.zeros(1, 4, height, width))
    for hook in hooks:
        hook.remove()
    flops = counter.get_total_flops()
    return {
        "gflop": flops / 1e9,
        "megabytes": 2 * values / 1e6,
        "operations_ms": 1000 * flops / peaks["flops"],
        "bytes_ms": 1000 * 2 * values / peaks["bytes_s"],
    }


def shares(differences: list[np.ndarray[Any, Any]], tolerance: float) -> dict[str, float]:
    """How much of each frame differs by at most `most`, in the mean and in the worst frame."""
    parts = [float((difference <= tolerance).mean()) for difference in differences]
    return {"mean": float(np.mean(parts)), "worst": min(parts), "frames": float(len(parts))}
