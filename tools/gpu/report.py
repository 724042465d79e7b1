"""Measure networks and full frames on a GPU: `python -m tools.gpu.report --out FOLDER`.

The report has the figures for docs/performance.md, in parts with a time limit each: the machine
and its ceilings; PyTorch; other runtimes with the same graph; TensorRT. If something cannot be
measured, the report has the reason. Each figure is written immediately, and running a part again
measures only what is missing. `--device cpu` is for trying this program.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer

from tools.gpu.measure import attempt, ceilings, floor, shares, timed, within
from tools.gpu.profile import LAYOUTS, kernels, training_step_ms
from tools.gpu.roads import RATE, TorchFrames, time_frames, time_network
from tools.gpu.tables import as_markdown
from training.export.onnx_graphs import load_network
from training.tools.file_parts import write_json
from vidbg.benchmark.report import describe_machine
from vidbg.compositing import CompositingConfig, Compositor
from vidbg.compositing.backgrounds import ColourSpec
from vidbg.config import MattingConfig
from vidbg.frame import Alpha, Frame, Image
from vidbg.matting.backends import load_backend, parse_engine
from vidbg.matting.backends.tensorrt import TensorRtBackend
from vidbg.matting.backends.tensorrt.cache import cached_engine, runtime_cache_path
from vidbg.matting.backends.tensorrt.cuda import find_gpu
from vidbg.matting.backends.tensorrt.engine_builder import network_spec
from vidbg.matting.backends.tensorrt.package import TARGETS, TensorRtPackage, find_package
from vidbg.matting.backends.tensorrt.session import Session
from vidbg.matting.engines import CARDS, engine_file, file_hash
from vidbg.matting.light_network import LightNetwork
from vidbg.matting.video_matting import VideoMatting
from vidbg.pipeline.gpu.full_frame import FullFrame
from vidbg.sources import open_frames
from vidbg.sources.synthetic import swaying_person

ALPHA_MOST, LEVELS_MOST = 0.02, 2.0
GREEN = (64, 177, 0)
PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
STEPS_S = 25
"""That a few training steps may take. In channels last, depthwise gradients took 10 s a step."""
COMPILING_S = 40
"""That torch.compile may take for one network; what lasts longer is reported as that."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much to measure.

    Attributes:
        network_sizes: (height, width) of the networks' inputs: 86016, 147456 and 589824 pixels.
        frame_sizes: (height, width) of full frames.
        calls: of each way at each size.
        clip_frames: compared with the CPU.
        ways: of PyTorch, in their order.
        network_pixels: of full frames.
        framed: networks that full frames are measured with.
        trained: networks whose training steps are timed.
        training_batch: images, height and width of a training step.
        training_steps: of which the fastest counts.
    """

    network_sizes: tuple[tuple[int, int], ...] = ((224, 384), (288, 512), (576, 1024))
    frame_sizes: tuple[tuple[int, int], ...] = ((720, 1280), (1080, 1920), (2160, 3840))
    calls: int = 300
    clip_frames: int = 60
    ways: tuple[str, ...] = ("CUDA graph", "eager", "compiled")
    network_pixels: int = 224 * 384
    framed: tuple[str, ...] = ("ResNet-50", "light")
    trained: tuple[str, ...] = ("ResNet-50", "light")
    training_batch: tuple[int, int, int] = (64, 224, 384)
    training_steps: int = 4


TRIAL = Extent(
    network_sizes=((32, 32),),
    frame_sizes=((72, 128),),
    calls=1,
    clip_frames=2,
    ways=("eager",),
    network_pixels=128 * 128,
    framed=("ResNet-50",),
    trained=("light",),
    training_batch=(2, 32, 32),
    training_steps=1,
)
"""For a CPU, where nothing is compiled, and depthwise convolutions in fp16 take seconds."""


class Report:
    """Figures by a path of names, in a JSON file.

    Args:
        file: read if it is there.
        seconds: that measuring may take from now on.
    """

    def __init__(self, file: Path, seconds: float) -> None:
        self._file, self._ends = file, time.monotonic() + seconds
        self.figures: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}

    def add(self, names: Sequence[str], measure: Callable[[], Any], most_s: float = 1e9) -> Any:
        """Measure, unless that was done before; a failure is its text, and tried again next time.

        Args:
            most_s: that this may take, beside what the whole may.
        """
        place = self.figures
        for name in names[:-1]:
            place = place.setdefault(name, {})
        old = place.get(names[-1])
        if old is not None and "error" not in old:
            return old
        place[names[-1]] = attempt(partial(self._limited, measure, most_s))
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._file, self.figures)
        return place[names[-1]]

    def _limited(self, measure: Callable[[], Any], most_s: float) -> Any:
        with within(min(most_s, self._ends - time.monotonic())):
            return measure()


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured, and where.

    Attributes:
        light: weights of the light network, None for random ones: its time is the same.
        clip: pictures; None: a drawn person.
    """

    device: str
    extent: Extent
    light: Path | None
    clip: Path | None

    def networks(self) -> dict[str, Callable[[], Any]]:
        return {"ResNet-50": resnet, "light": partial(light_network, self.light)}

    def at_smallest(self) -> Subject:
        """Return the same at the smallest size of each kind."""
        extent = self.extent
        networks, frames = extent.network_sizes[:1], extent.frame_sizes[:1]
        return replace(self, extent=replace(extent, network_sizes=networks, frame_sizes=frames))

    @property
    def stream(self) -> MattingConfig:
        return MattingConfig(network_pixels=self.extent.network_pixels, reuse=False)

    def pictures(self) -> list[Image]:
        count = self.extent.clip_frames
        files = sorted(self.clip.glob("frame-*.webp"))[:count] if self.clip else []
        if files:
            return [np.asarray(cv2.imread(str(file)), np.uint8) for file in files]
        height, width = self.extent.frame_sizes[0]
        drawn = swaying_person(width, height)
        return [drawn[number % len(drawn)] for number in range(count)]


def resnet() -> Any:
    return load_network(engine_file(CARDS["resnet50"].weights, ".safetensors"))


def light_network(weights: Path | None) -> Any:
    from safetensors.torch import load_file

    network = LightNetwork()
    if weights is not None:
        network.load_weights(load_file(weights))
    return network.eval()


def environment(report: Report, subject: Subject) -> None:
    """Describe the machine, its ceilings, and the floor under both networks."""
    report.add(["machine"], partial(describe, subject.device))
    peaks = report.add(["ceilings"], partial(ceilings, subject.device))
    for name, make in subject.networks().items():
        for height, width in subject.extent.network_sizes:
            key = ["floor", name, f"{width}x{height}"]
            report.add(key, partial(_floor, make, height, width, peaks))


def _floor(make: Callable[[], Any], height: int, width: int, peaks: Any) -> dict[str, float]:
    if "error" in peaks:
        raise RuntimeError("the ceilings were not measured")
    return floor(make(), height, width, peaks)


def describe(device: str) -> dict[str, Any]:
    """Describe the machine and its packages, as `vidbg bench` does, and the GPU."""
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


def pytorch(report: Report, subject: Subject) -> None:
    """Measure both networks with PyTorch, the most wanted figures first.

    These are the program's own method, then the smallest size of the others, then the rest.
    """
    smallest = subject.at_smallest()
    for name, make in subject.networks().items():
        device = TorchFrames(subject.device, make, "CUDA graph")
        if name in subject.extent.framed:
            report.add(["parity", f"{name}, PyTorch"], partial(parity, subject, device, make))
        if "CUDA graph" in subject.extent.ways:
            _measure_all(report, subject, name, device, "CUDA graph")
    for part in (smallest, subject):
        for way in subject.extent.ways:
            for name, make in subject.networks().items():
                most_s = COMPILING_S if way == "compiled" else 1e9
                device = TorchFrames(subject.device, make, way)
                _measure_all(report, part, name, device, way, most_s)


def _measure_all(
    report: Report, subject: Subject, name: str, device: Any, way: str, most_s: float = 1e9
) -> None:
    extent = subject.extent
    for height, width in extent.network_sizes:
        key = ["network", f"{width}x{height}", f"{name}, PyTorch {way}"]
        report.add(key, partial(time_network, device, height, width, extent.calls), most_s)
    for height, width in extent.frame_sizes if name in extent.framed else ():
        key = ["frames", f"{width}x{height}", f"{name}, PyTorch {way}"]
        report.add(key, partial(_time_frames, device, height, width, subject), most_s)


def _time_frames(device: Any, height: int, width: int, subject: Subject) -> dict[str, float]:
    return time_frames(device, moving(height, width), subject.stream, subject.extent.calls)


@lru_cache(maxsize=8)
def moving(height: int, width: int) -> list[Image]:
    """Draw a person; no two consecutive images are the same."""
    return list(swaying_person(width, height)[:8])


def parity(subject: Subject, device: Any, make: Callable[[], Any]) -> dict[str, Any]:
    """Alpha and composites of a clip, full frames on the device, against the CPU in fp32.

    TensorRT's alpha stays on the device, so there composites alone are compared.
    """
    pictures = subject.pictures()
    expected = _two_steps(make, subject.stream, pictures)
    given = _one_step(device, subject.stream, pictures)
    pairs = list(zip(expected, given, strict=True))
    levels = [np.abs(wanted.astype(np.int16) - image) for (_, wanted), (_, image) in pairs]
    figures = {f"composite within {LEVELS_MOST:g} levels": shares(levels, LEVELS_MOST)}
    alphas = [np.abs(wanted - alpha) for (wanted, _), (alpha, _) in pairs if alpha is not None]
    return figures | ({f"alpha within {ALPHA_MOST}": shares(alphas, ALPHA_MOST)} if alphas else {})


def _two_steps(
    make: Callable[[], Any], stream: MattingConfig, pictures: Sequence[Image]
) -> list[tuple[Alpha, Image]]:
    """Compute smoothed alpha at the frame's size and the composite on the CPU in fp32."""
    results = []
    with (
        VideoMatting(config=stream, backend=CpuBackend(make())) as matter,
        closing(Compositor(CompositingConfig(ColourSpec(GREEN)), open_frames)) as compositor,
    ):
        for number, picture in enumerate(pictures):
            frame = Frame(picture, number / RATE, number)
            alpha = matter(picture, frame.pts)
            results.append((alpha, compositor(frame, alpha).image))
    return results


def _one_step(
    device: Any, stream: MattingConfig, pictures: Sequence[Image]
) -> list[tuple[Alpha | None, Image]]:
    height, width = pictures[0].shape[:2]
    background = np.full((height, width, 3), GREEN, np.uint8)
    results = []
    with FullFrame(device, height, width, stream, 1) as whole:
        for number, picture in enumerate(pictures):
            ticket = whole.start(Frame(picture, number / RATE, number), background)
            composite = whole.finish(ticket).image
            results.append((_alpha_kept(whole), composite))
    return results


def _alpha_kept(whole: FullFrame) -> Alpha | None:
    """Alpha at the frame's size, which stays on the device when nobody measures."""
    outputs = getattr(whole._runner, "_outputs", None)
    if outputs is None:
        return None
    alpha: Alpha = outputs["alpha"][0, 0].float().cpu().numpy().copy()
    return alpha


class CpuBackend:
    """Any network as PyTorch's reference on the CPU, in fp32."""

    name, precision = "PyTorch cpu", "fp32"

    def __init__(self, network: Any) -> None:
        self._network = network.eval().requires_grad_(False)

    def __call__(self, batch: Any) -> Alpha:
        with torch.inference_mode():
            alpha: Alpha = self._network.logits(torch.from_numpy(batch)).sigmoid()[0, 0].numpy()
        return alpha

    def ready(self, height: int, width: int) -> bool:  # noqa: ARG002  (every backend's)
        return True

    def prepare(self, height: int, width: int) -> None:
        pass

    def close(self) -> None:
        pass


def profiles(report: Report, subject: Subject) -> None:
    """Where the time goes: kernels of the smallest full frame, training steps by layout."""
    height, width = subject.extent.frame_sizes[0]
    images = moving(height, width)[:2]
    for name, make in subject.networks().items():
        if name in subject.extent.framed:
            measure = partial(kernels, subject.device, make, images, subject.stream)
            report.add(["kernels", f"{width}x{height}", name], measure)
        for layout in LAYOUTS if name in subject.extent.trained else ():
            extent = subject.extent
            step = partial(
                training_step_ms,
                subject.device,
                make,
                layout,
                extent.training_batch,
                extent.training_steps,
            )
            report.add(["training", name, layout], step, STEPS_S)


def peers(report: Report, subject: Subject) -> None:
    """ONNX Runtime, and PyTorch as one would write it down, on the same network."""
    import onnxruntime

    for height, width in subject.extent.network_sizes:
        size = f"{width}x{height}"
        for provider in [p for p in onnxruntime.get_available_providers() if p in PROVIDERS]:
            measure = partial(time_onnx, provider, height, width, min(subject.extent.calls, 50))
            report.add(["network", size, f"ResNet-50, ONNX Runtime {provider}"], measure, 15)
        for kind in ("fp32", "fp16"):
            engine = f"cuda:{kind}" if subject.device == "cuda" else "torch-cpu:fp32"
            measure = partial(time_engine, engine, height, width, subject.extent.calls)
            report.add(["network", size, f"ResNet-50, PyTorch autocast {kind}"], measure, 15)


def time_onnx(provider: str, height: int, width: int, calls: int) -> dict[str, float]:
    import onnxruntime

    graph = str(engine_file(CARDS["resnet50"].weights, ".onnx"))
    session = onnxruntime.InferenceSession(graph, providers=[provider])
    batch = np.random.default_rng(0).normal(size=(1, 4, height, width)).astype(np.float32)
    return timed(lambda _: session.run(None, {"input": batch}), calls)


def time_engine(name: str, height: int, width: int, calls: int) -> dict[str, float]:
    backend = load_backend(*parse_engine(name))
    batch = np.random.default_rng(0).normal(size=(1, 4, height, width)).astype(np.float32)
    try:
        return timed(lambda _: backend(batch), calls)
    finally:
        backend.close()


def tensorrt(report: Report, subject: Subject) -> None:
    """Build for TensorRT, open, compare and time; a refusal is kept in TensorRT's own words."""
    package_facts = report.add(["TensorRT", "package"], built_for)
    if "error" in package_facts:
        return
    package, target = find_package(), package_facts["target"]
    extent = subject.extent
    opened = report.add(["TensorRT", "opening"], partial(opening, *extent.network_sizes[0]))
    if "error" in opened:
        return
    for part in (subject.at_smallest(), subject):
        for precision in ("fp16", "int8"):
            name = f"ResNet-50, TensorRT {precision}"
            device = TensorRtBackend(package, target, precision)
            for height, width in part.extent.network_sizes:
                measure = partial(time_network, device, height, width, extent.calls)
                report.add(["network", f"{width}x{height}", name], measure)
            for height, width in part.extent.frame_sizes:
                measure = partial(_time_frames, device, height, width, subject)
                report.add(["frames", f"{width}x{height}", name], measure)
            report.add(["parity", name], partial(parity, subject, device, resnet))


def built_for() -> dict[str, Any]:
    """Return the TensorRT package, and the target that engines are built for.

    TensorRT for RTX is tried on every GPU, even on those that `TensorRtPackage.target_of` refuses:
    its own error is what the report needs.
    """
    package = find_package()
    gpu = find_gpu()
    target = TARGETS[0] if package.portable else package.target_of(gpu)
    return {"name": package.name, "version": package.version, "target": target, "gpu": gpu.name}


def opening(height: int, width: int) -> dict[str, Any]:
    """Seconds to build an engine, to open it, and again with the kernels compiled the first time;
    and its size and hash, to compare with one that was built elsewhere.
    """
    facts = built_for()
    package: TensorRtPackage = find_package()
    start = time.perf_counter()
    path = cached_engine(package, network_spec(height, width), facts["target"])
    figures = {
        "build_s": time.perf_counter() - start,
        "bytes": path.stat().st_size,
        "sha256": file_hash(path),
    }
    Session(package, path).close()  # TensorRT's own start is not to be counted
    runtime_cache_path(path).unlink(missing_ok=True)
    for name in ("first_s", "again_s"):
        start = time.perf_counter()
        Session(package, path).close()
        figures[name] = time.perf_counter() - start
    return figures


PARTS: dict[str, Callable[[Report, Subject], None]] = {
    "environment": environment,
    "pytorch": pytorch,
    "profiles": profiles,
    "peers": peers,
    "tensorrt": tensorrt,
}


def main(
    out: Annotated[Path, typer.Option(help="Folder for report.json and report.md.")],
    part: Annotated[list[str] | None, typer.Option(help=f"{', '.join(PARTS)}; or all.")] = None,
    device: Annotated[str, typer.Option(help="cuda; cpu to try this out.")] = "cuda",
    seconds: Annotated[float, typer.Option(min=1, help="That each part may take.")] = 600,
    light: Annotated[Path | None, typer.Option(help="Weights of the light network.")] = None,
    clip: Annotated[Path | None, typer.Option(help="Folder with frame-*.webp to compare.")] = None,
) -> None:
    """Measure, and write what was measured."""
    if device == "cuda" and not torch.cuda.is_available():
        raise typer.BadParameter("PyTorch sees no CUDA device here")
    if unknown := set(part or []) - set(PARTS):
        raise typer.BadParameter(f"no part {sorted(unknown)}; there are {[*PARTS]}")
    subject = Subject(device, Extent() if device == "cuda" else TRIAL, light, clip)
    for name in part or PARTS:
        report = Report(out / "report.json", seconds)
        PARTS[name](report, subject)
        (out / "report.md").write_text(as_markdown(report.figures), encoding="utf-8")
    typer.echo(as_markdown(report.figures))


if __name__ == "__main__":
    typer.run(main)
