"""Where a GPU's time goes: the kernels of a full frame, and training steps by layout."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from tools.gpu.measure import synchronise
from tools.gpu.roads import TorchFrames
from vidbg.config import MattingConfig
from vidbg.frame import Frame, Image
from vidbg.pipeline.gpu.full_frame import FullFrame

LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
TOP = 12


def kernels(
    device: str, make_network: Callable[[], Any], images: list[Image], stream: MattingConfig
) -> dict[str, Any]:
    """Profile one eager full frame.

    Args:
        images: two frames, uint8 (H, W, 3), BGR; the second is profiled.
    Returns:
        `count` of kernels, their `total_ms`, and `top`: name, calls and milliseconds of those that
        take longest together.
    """
    height, width = images[0].shape[:2]
    background = np.zeros((height, width, 3), np.uint8)
    on_gpu = device == "cuda"
    kind = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
    with FullFrame(
        TorchFrames(device, make_network, "eager"), height, width, stream, 1
    ) as full_frame:
        full_frame.finish(full_frame.start(Frame(images[0], 0.0, 0), background))
        with profile(activities=[kind]) as profiler:
            full_frame.finish(full_frame.start(Frame(images[1], 1 / 30, 1), background))
    name = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    rows = [(row.key, row.count, getattr(row, name) / 1e3) for row in profiler.key_averages()]
    rows = sorted((row for row in rows if row[2] > 0), key=lambda row: -row[2])
    return {
        "count": sum(count for _, count, _ in rows),
        "total_ms": sum(ms for _, _, ms in rows),
        "top": [[key[:80], count, round(ms, 4)] for key, count, ms in rows[:TOP]],
    }


def training_step_ms(
    device: str,
    make_network: Callable[[], Any],
    layout: str,
    shape: tuple[int, int, int],
    steps: int,
) -> dict[str, float]:
    """Time a training step in bf16: forward, a plain loss, backward, AdamW.

    Args:
        layout: a key of LAYOUTS, of weights and batch.
        shape: (images, height, width) of the batch.
        steps: at least 1; the first ones also choose algorithms on a GPU.
    Returns:
        `step_ms` of the fastest step, and `images_s`.
    """
    images, height, width = shape
    memory_format = LAYOUTS[layout]
    network = make_network().train().requires_grad_(True)
    network.to(device, memory_format=memory_format)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)
    batch = torch.randn(images, 4, height, width, device=device)
    batch = batch.contiguous(memory_format=memory_format)
    seconds = []
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        for _ in range(steps):
            synchronise(device)
            start = time.perf_counter()
            with torch.autocast(device, torch.bfloat16):
                loss = network.logits(batch).float().square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            synchronise(device)
            seconds.append(time.perf_counter() - start)
    return {"step_ms": 1e3 * min(seconds), "images_s": images / min(seconds)}
