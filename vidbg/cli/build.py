"""`vidbg build`: build TensorRT engines."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import typer

from vidbg.cli import options
from vidbg.option_values import parse_network_size
from vidbg.util.limits import parse_size

if TYPE_CHECKING:
    from vidbg.matting.backends.graphs import GraphSpec


@options.takes_options("build")
def build(**params: Any) -> None:
    """Build an engine for TensorRT, unless there is one that fits."""
    from vidbg.matting.backends.tensorrt.cache import keep_engine, origin_of
    from vidbg.matting.backends.tensorrt.engine_builder import build_engine
    from vidbg.matting.backends.tensorrt.package import choose
    from vidbg.platform.folders import cache_folder

    spec = replace(
        _spec(params["graph"], params["size"], params["network_size"]),
        precision=params["precision"],
        network=params["network"],
    )
    package, wanted = choose(params["target"])
    origin = origin_of(package, spec, wanted)
    path = params["out"] or cache_folder() / origin.file_name()
    start = time.perf_counter()
    keep_engine(path, origin, lambda: build_engine(package, spec, wanted))
    seconds = time.perf_counter() - start
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {seconds:.1f} s")


def _spec(graph: Literal["network", "frame"], size: str, network_size: str | None) -> GraphSpec:
    from vidbg.matting.backends.tensorrt.engine_builder import network_spec
    from vidbg.matting.ladder import USUAL_PIXELS
    from vidbg.matting.preprocess import plan_geometry
    from vidbg.pipeline.gpu.frame_inputs import frame_plan

    width, height = parse_size("--size", size)
    pixels = parse_network_size(network_size) or USUAL_PIXELS
    if graph == "frame":
        return frame_plan(height, width, pixels).spec
    plan = plan_geometry(height, width, pixels)
    return network_spec(plan.height, plan.width)
