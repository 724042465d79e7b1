"""What the engines do on this machine's GPU: `python -m gpu_report --out FOLDER`.

All that docs/performance.md has to say of a GPU, in one call of some minutes: the network alone by
TensorRT and by PyTorch in several ways, whole frames by `vidbg bench`, and the floor under them.
What cannot be measured stands there with the reason. `--device cpu` is for trying this program.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from subprocess import SubprocessError
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from training.onnx_graphs import load_network
from vidbg.errors import VidbgError
from vidbg.matting.backends import load_backend, parse_engine
from vidbg.matting.backends.graphs import GraphPlan, Wiring
from vidbg.matting.backends.tensorrt.build import network_recipe
from vidbg.matting.backends.tensorrt.cache import cached_engine, kernels_of
from vidbg.matting.backends.tensorrt.cuda import find_gpu
from vidbg.matting.backends.tensorrt.flavour import TARGETS, find_flavour
from vidbg.matting.backends.tensorrt.session import Session
from vidbg.matting.backends.torch_runner import TorchRunner
from vidbg.matting.engines import CARDS, engine_file
from vidbg.matting.graph import TypedNetwork
from vidbg.matting.network import AlphaNetwork
from vidbg.pipeline.bench_report import describe_machine
from vidbg.pipeline.benchmark import percentiles_ms
from vidbg.timing import StageClock

NETWORK_SIZES = ((288, 512), (576, 1024))
FRAME_SIZES = ("1280x720", "1920x1080", "3840x2160")
MATRIX, COPIED_BYTES = 8192, 2**30
WARM_UP = 20

Call = Callable[[NDArray[np.float32]], Any]
"""A network: its input in host memory, (1, 4, h, w), to alpha in host memory."""


def report(device: str, calls: int, frames: int) -> dict[str, Any]:
    """All figures; each way that fails is its error's text."""
    peaks = measured_peaks(device)
    return {
        "machine": describe(device),
        "peaks": peaks,
        "opening": attempt(partial(opening, *NETWORK_SIZES[0])),
        "network": {
            f"{width}x{height}": network_figures(device, height, width, calls, peaks)
            for height, width in NETWORK_SIZES
        },
        "frames": {size: frame_figures(device, size, frames) for size in FRAME_SIZES},
    }


def attempt(measure: Callable[[], Any]) -> Any:
    """What is measured, or why it cannot be."""
    try:
        return measure()
    except (VidbgError, RuntimeError, OSError, ImportError, SubprocessError) as error:
        return {"error": str(error).splitlines()[0] if str(error) else type(error).__name__}


def describe(device: str) -> dict[str, Any]:
    """The machine and its packages, as `vidbg bench` has them, and the GPU."""
    facts = describe_machine()
    if device != "cuda":
        return facts
    properties = torch.cuda.get_device_properties(0)
    return {
        **facts,
        "device": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "memory_gb": round(properties.total_memory / 1e9, 1),
        "cuda": torch.version.cuda,
    }


def measured_peaks(device: str) -> dict[str, float]:
    """Operations and bytes a second that this device reaches: a matrix product in fp16, a copy."""
    side = MATRIX if device == "cuda" else 512
    count = COPIED_BYTES if device == "cuda" else 2**24
    kind = torch.float16 if device == "cuda" else torch.bfloat16
    one = torch.randn(side, side, device=device).to(kind)
    source = torch.zeros(count, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product_s = best_time(device, lambda: one @ one)
    copy_s = best_time(device, lambda: target.copy_(source))
    return {"flops": 2 * side**3 / product_s, "bytes_s": 2 * count / copy_s}


def best_time(device: str, work: Callable[[], Any]) -> float:
    """The least of ten times, in seconds."""
    times = []
    for _ in range(10):
        synchronise(device)
        start = time.perf_counter()
        work()
        synchronise(device)
        times.append(time.perf_counter() - start)
    return min(times)


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def opening(height: int, width: int) -> dict[str, float]:
    """Seconds to open an engine, and again with the kernels that were compiled the first time.

    TensorRT for RTX is asked on any GPU, on those too that its list and so `Flavour.target_of`
    leave out: its own words are the refusal to report.
    """
    gpu, flavour = find_gpu(), find_flavour()
    target = TARGETS[0] if flavour.portable else flavour.target_of(gpu)
    path = cached_engine(flavour, network_recipe(height, width), target)
    Session(flavour, path).close()  # TensorRT's own start is not to be counted
    kernels_of(path).unlink(missing_ok=True)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        Session(flavour, path).close()
        seconds.append(time.perf_counter() - start)
    return {"first_s": seconds[0], "again_s": seconds[1]}


def network_figures(
    device: str, height: int, width: int, calls: int, peaks: dict[str, float]
) -> dict[str, Any]:
    """Each way to run the network, and the floor: what its operations and bytes must take."""
    size = (height, width, calls)
    eager = "cuda:fp16" if device == "cuda" else "torch-cpu:bf16"
    ways: dict[str, Callable[[], dict[str, float]]] = {
        "TensorRT fp16": partial(timed_engine, "tensorrt:fp16", *size),
        "TensorRT int8": partial(timed_engine, "tensorrt:int8", *size),
        "PyTorch eager": partial(timed_engine, eager, *size),
        "PyTorch compiled": partial(timed_compiled, device, *size),
        "PyTorch CUDA graph": partial(timed_runner, device, *size),
    }
    figures = {name: attempt(way) for name, way in ways.items()}
    return {"floor": attempt(partial(floor, height, width, peaks)), **figures}


def timed_engine(name: str, height: int, width: int, calls: int) -> dict[str, float]:
    with closing(load_backend(*parse_engine(name))) as backend:
        return timed(backend, height, width, calls)


def timed_runner(device: str, height: int, width: int, calls: int) -> dict[str, float]:
    plan = GraphPlan(
        network_recipe(height, width),
        TypedNetwork,
        {"input": np.zeros((1, 4, height, width), np.float32)},
        ("alpha",),
        Wiring(),
    )
    with TorchRunner(plan, shipped_network(), torch.device(device), 1) as runner:

        def call(batch: NDArray[np.float32]) -> Any:
            runner.start(0, {"input": batch})
            return runner.wait(0)

        return timed(call, height, width, calls)


def timed_compiled(device: str, height: int, width: int, calls: int) -> dict[str, float]:
    """torch.compile with the CUDA graphs that it captures itself."""
    module: Any = TypedNetwork(shipped_network())
    module = module.to(device, memory_format=torch.channels_last)
    fast: Any = torch.compile(module, mode="reduce-overhead")

    @torch.inference_mode()
    def call(batch: NDArray[np.float32]) -> Any:
        inputs = torch.from_numpy(batch).to(device)
        return fast(inputs.contiguous(memory_format=torch.channels_last)).cpu()

    return timed(call, height, width, calls)


def shipped_network() -> AlphaNetwork:
    return load_network(engine_file(CARDS["resnet50"].weights, ".safetensors"))


def timed(call: Call, height: int, width: int, calls: int) -> dict[str, float]:
    """A call's percentiles in milliseconds, and calls a second; the copies are part of it."""
    batch = np.random.default_rng(0).normal(size=(1, 4, height, width)).astype(np.float32)
    for _ in range(min(WARM_UP, calls)):
        call(batch)
    clock = StageClock()
    for _ in range(calls):
        with clock.stage("network"):
            call(batch)
    seconds = clock.seconds()["network"]
    return {**percentiles_ms(seconds), "fps": calls / sum(seconds)}


def floor(height: int, width: int, peaks: dict[str, float]) -> dict[str, float]:
    """The least time for the convolutions' operations, and for their tensors in fp16.

    Each convolution's input, output and weights cross the memory once; fusion can save part of
    that, so the floor by bytes is one of unfused layers.
    """
    network = shipped_network()
    values = 0

    def count(
        module: torch.nn.Module, taken: tuple[torch.Tensor, ...], given: torch.Tensor
    ) -> None:
        nonlocal values
        weights = sum(parameter.numel() for parameter in module.parameters())
        values += taken[0].numel() + given.numel() + weights

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.logits(torch.zeros(1, 4, height, width))
    flops = counter.get_total_flops()
    return {
        "gflop": flops / 1e9,
        "megabytes": 2 * values / 1e6,
        "operations_ms": 1000 * flops / peaks["flops"],
        "bytes_ms": 1000 * 2 * values / peaks["bytes_s"],
    }


def frame_figures(device: str, size: str, frames: int) -> dict[str, Any]:
    """Whole frames from memory to memory, with compositing on the device and without."""
    engines = ["tensorrt:fp16", "tensorrt:int8", "cuda:fp16"] if device == "cuda" else ["cpu:int8"]
    roads = {"whole frame": "--whole-frame", "two steps": "--no-whole-frame"}
    return {
        f"{engine}, {road}": attempt(partial(bench, engine, size, frames, option))
        for engine in engines
        for road, option in roads.items()
    }


def bench(engine: str, size: str, frames: int, road: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "vidbg", "bench", "--json", "--engine", engine, road]
    command += ["--size", size, "--frames", str(frames), "--background", "#204060"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "it failed").splitlines()[-1])
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**facts["end_to_end"], "stages": facts["stages"]}


def as_markdown(figures: dict[str, Any]) -> str:
    """The tables for docs/performance.md."""
    lines = [f"`{json.dumps(figures['machine'])}`", "", opening_in_words(figures["opening"]), ""]
    for size, ways in figures["network"].items():
        lines += [f"Network {size}; {floor_in_words(ways['floor'])}", ""]
        rows = {name: way for name, way in ways.items() if name != "floor"}
        lines += table(("way", "p50 ms", "p99 ms", "FPS"), rows, ("p50", "p99", "fps"))
    for size, roads in figures["frames"].items():
        flat = {
            name: road if "error" in road else {**road, **road["latency_ms"]}
            for name, road in roads.items()
        }
        heading = ("engine and road", "FPS", "p50 ms", "p99 ms", "CPU %")
        lines += [
            f"Frames of {size}",
            "",
            *table(heading, flat, ("fps", "p50", "p99", "cpu_percent")),
        ]
    return "\n".join(lines) + "\n"


def opening_in_words(facts: dict[str, Any]) -> str:
    if "error" in facts:
        return f"Opening an engine: {facts['error']}"
    return f"Opening an engine: {facts['first_s']:.2f} s, again {facts['again_s']:.2f} s"


def floor_in_words(facts: dict[str, Any]) -> str:
    if "error" in facts:
        return f"floor: {facts['error']}"
    return (
        f"floor: {facts['gflop']:.1f} GFLOP in {facts['operations_ms']:.3f} ms, "
        f"{facts['megabytes']:.0f} MB in {facts['bytes_ms']:.3f} ms"
    )


def table(
    heading: tuple[str, ...], rows: dict[str, dict[str, Any]], keys: tuple[str, ...]
) -> list[str]:
    lines = [f"| {' | '.join(heading)} |", "|---" * len(heading) + "|"]
    for name, row in rows.items():
        cells = [f"{row[key]:.2f}" for key in keys] if "error" not in row else [row["error"]]
        cells += [""] * (len(keys) - len(cells))
        lines.append(f"| {' | '.join([name, *cells])} |")
    return [*lines, ""]


def main(
    out: Annotated[Path, typer.Option(help="Folder for report.json and report.md.")],
    device: Annotated[str, typer.Option(help="cuda; cpu to try this out.")] = "cuda",
    calls: Annotated[int, typer.Option(min=2, help="Of the network, each way.")] = 1000,
    frames: Annotated[int, typer.Option(min=2, help="Of each size, each way.")] = 1000,
) -> None:
    """Measure, and write what was measured."""
    if device == "cuda" and not torch.cuda.is_available():
        raise typer.BadParameter("PyTorch sees no CUDA device here")
    out.mkdir(parents=True, exist_ok=True)
    figures = report(device, calls, frames)
    (out / "report.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (out / "report.md").write_text(as_markdown(figures), encoding="utf-8")
    typer.echo(as_markdown(figures))


if __name__ == "__main__":
    typer.run(main)
