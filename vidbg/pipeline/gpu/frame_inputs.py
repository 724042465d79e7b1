"""Inputs and outputs of the full-frame graph, by name, for one frame size."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidbg.compositing.foreground import GRID_LINES
from vidbg.compositing.scaling import shrinking as grid_shrinking
from vidbg.matting.backends.graphs import GraphBindings, GraphPlan, GraphSpec
from vidbg.matting.preprocess import plan_geometry, shrinking

INPUTS = {
    "frame": "uint8 (1, H, W, 3), BGR",
    "background": "uint8 (1, H, W, 3), BGR",
    "past_alpha": "float32 (1, 1, content h, content w): the previous `smoothed`, or zeros",
    "past_luma": "float32, the same size: the previous `luma`, or zeros",
    "keep": "float32 (1,): exp(-seconds since then / smoothing_s), 0 without a previous frame",
    "prior": "float32 (1,): 1 to show the network its previous alpha, else 0",
    "rows": "float16 (h, H), a constant of the frame size",
    "columns": "float16 (W, w), a constant of the frame size",
    "grid_rows": "float16, a constant of the frame size",
    "grid_columns": "float16, a constant of the frame size",
}
OUTPUTS = {
    "composited": "uint8 (1, H, W, 3), BGR",
    "alpha": "float32 (1, 1, H, W)",
    "smoothed": "float32 (1, 1, content h, content w), the next frame's `past_alpha`",
    "luma": "float32, the same size, the next frame's `past_luma`",
}

FRAME_BINDINGS = GraphBindings(
    constants=frozenset({"background", "rows", "columns", "grid_rows", "grid_columns"}),
    feedback={"past_alpha": "smoothed", "past_luma": "luma"},
    device_only=frozenset({"alpha", "luma"}),
)


def first_inputs(height: int, width: int, network_pixels: int) -> dict[str, NDArray[np.generic]]:
    """Make the inputs of a stream's first frame, with a black frame and background.

    Raises:
        ConfigError: the budget of network pixels is not allowed.
    """
    plan = plan_geometry(height, width, network_pixels)
    rows, columns = shrinking(plan)
    grid_rows, grid_columns = grid_shrinking(height, width, GRID_LINES)
    picture = np.zeros((1, height, width, 3), np.uint8)
    state = np.zeros((1, 1, plan.content_height, plan.content_width), np.float32)
    nothing = np.zeros(1, np.float32)
    arrays = (
        *(picture, picture, state, state, nothing, nothing),
        *(rows, columns, grid_rows, grid_columns),
    )
    return dict(zip(INPUTS, arrays, strict=True))


@lru_cache(maxsize=1)
def frame_plan(height: int, width: int, network_pixels: int) -> GraphPlan:
    """Plan the graph for frames of one size.

    Only the frame, its composite, a changed background and the small `smoothed` alpha, which is
    checked, cross the bus. The last plan is cached because every step of building and opening an
    engine asks for it: do not write to its arrays.

    Raises:
        ConfigError: the budget of network pixels is not allowed.
    """
    plan = plan_geometry(height, width, network_pixels)
    inputs = first_inputs(height, width, network_pixels)
    shapes = {name: array.shape for name, array in inputs.items()}
    size = f"{width}x{height}-{plan.width}x{plan.height}"
    return GraphPlan(
        GraphSpec("frame", size, shapes), _frame_module, inputs, tuple(OUTPUTS), FRAME_BINDINGS
    )


def _frame_module(network: Any) -> Any:
    from vidbg.pipeline.gpu.frame_graph import FrameGraph  # needs torch

    return FrameGraph(network)
