"""`vidbg build`: engines for TensorRT."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vidbg.cli import options

if TYPE_CHECKING:
    from vidbg.matting.backends.graphs import GraphSpec


def build(
    size: Annotated[str, typer.Option(metavar="WxH", help="Of the frames.")] = "1280x720",
    graph: Annotated[
        str, typer.Option(help="network: the network alone; frame: the whole road of a frame.")
    ] = "network",
    network: Annotated[str, typer.Option(help="resnet50 or light.")] = "resnet50",
    network_size: options.NetworkSize = None,
    precision: Annotated[str, typer.Option(help="Of the convolutions: fp16 or int8.")] = "fp16",
    gpu: options.Gpu = None,  # noqa: ARG001  (it acts as it is read)
    target: Annotated[
        str | None,
        typer.Option(help="For another machine's GPU: ampere+ or sm75 (needs tensorrt_rtx)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The engine's file; default: in VIDBG_CACHE or the user's cache."),
    ] = None,
) -> None:
    """Build an engine for TensorRT, if there is none that fits."""
    from vidbg.choices import check_choice
    from vidbg.matting.backends.tensorrt.build import build_engine
    from vidbg.matting.backends.tensorrt.cache import keep_engine, origin_of
    from vidbg.matting.backends.tensorrt.package import choose
    from vidbg.platform.folders import cache_folder

    check_choice("--graph", graph, ("network", "frame"))
    check_choice("--precision", precision, ("fp16", "int8"))
    check_choice("--network", network, ("resnet50", "light"))
    spec = replace(
        _spec("frame" if graph == "frame" else "network", size, network_size),
        precision="int8" if precision == "int8" else "fp16",
        network="light" if network == "light" else "resnet50",
    )
    package, wanted = choose(target)
    origin = origin_of(package, spec, wanted)
    path = out or cache_folder() / origin.file_name()
    start = time.perf_counter()
    keep_engine(path, origin, lambda: build_engine(package, spec, wanted))
    seconds = time.perf_counter() - start
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {seconds:.1f} s")


def _spec(graph: Literal["network", "frame"], size: str, network_size: str | None) -> GraphSpec:
    from vidbg.matting.backends.tensorrt.build import network_spec
    from vidbg.matting.ladder import USUAL_PIXELS
    from vidbg.matting.preprocess import plan_geometry
    from vidbg.pipeline.gpu.frame_inputs import frame_plan

    width, height = options.parse_size(size, "--size")
    pixels = USUAL_PIXELS
    if network_size is not None:
        pixels = options.parse_network_size(network_size)
    if graph == "frame":
        return frame_plan(height, width, pixels).spec
    plan = plan_geometry(height, width, pixels)
    return network_spec(plan.height, plan.width)
