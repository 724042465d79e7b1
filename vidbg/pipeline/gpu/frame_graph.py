"""The full frame as one torch module: matting, then compositing.

The background is passed with every frame, at the frame's size. The result is that of Compositor
without edge options. `make graphs` exports this module to ONNX.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidbg.compositing.graph import CompositingGraph
from vidbg.matting.full_frame.matting_graph import MattingGraph
from vidbg.matting.network import AlphaNetwork


class FrameGraph(nn.Module):
    """Composite a frame over a background; return the composite, alpha and the new state.

    The call takes the tensors of frame_inputs.INPUTS and returns those of OUTPUTS, in their order.
    """

    def __init__(self, network: AlphaNetwork) -> None:
        super().__init__()
        self.matting = MattingGraph(network)
        self.compositing = CompositingGraph()

    def forward(
        self,
        frame: Tensor,
        background: Tensor,
        past_alpha: Tensor,
        past_luma: Tensor,
        keep: Tensor,
        prior: Tensor,
        rows: Tensor,
        columns: Tensor,
        grid_rows: Tensor,
        grid_columns: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        image, new_background = (
            frame.float(),
            background.float(),
        )  # the only operation TensorRT supports on uint8
        state = past_alpha, past_luma, keep, prior
        alpha, smoothed, luma = self.matting(image, *state, rows, columns)
        composited = self.compositing(image, alpha, new_background, grid_rows, grid_columns)
        return composited.to(torch.uint8), alpha, smoothed, luma
