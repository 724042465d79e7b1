"""`vidbg build`: build TensorRT engines."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import typer

from vidbg.cli import options
from vidbg.option_values import parse_network_size
from vidbg.util.limits import parse_size


@options.takes_options("build")
def build(**params: Any) -> None:
    """Build an engine for TensorRT, unless there is one that fits."""
    from vidbg.matting.backends.tensorrt.cache import keep_engine, origin_of
    from vidbg.matting.backends.tensorrt.engine_builder import build_engine, network_spec
    from vidbg.matting.backends.tensorrt.package import choose
    from vidbg.matting.ladder import USUAL_PIXELS
    from vidbg.matting.preprocess import plan_geometry
    from vidbg.pipeline.gpu.frame_inputs import frame_plan
    from vidbg.platform.folders import cache_folder

    # What is built: the graph at a size, for the whole frame or for the network alone
    width, height = parse_size("--size", params["size"])
    pixels = parse_network_size(params["network_size"]) or USUAL_PIXELS
    if params["graph"] == "frame":
        spec = frame_plan(height, width, pixels).spec
    else:
        plan = plan_geometry(height, width, pixels)
        spec = network_spec(plan.height, plan.width)
    spec = replace(spec, precision=params["precision"], network=params["network"])
    # For which GPU, by which package, and where it is kept
    package, wanted = choose(params["target"])
    origin = origin_of(package, spec, wanted)
    path = params["out"] or cache_folder() / origin.file_name()
    start = time.perf_counter()
    keep_engine(path, origin, lambda: build_engine(package, spec, wanted))
    seconds = time.perf_counter() - start
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {seconds:.1f} s")
