"""What a preview of a live run can show: the output, the mask, or the camera's own picture."""

from __future__ import annotations

import time
from typing import Literal

import cv2
import numpy as np

from vidbg.compositing.scaling import letterbox
from vidbg.frame import Image
from vidbg.pipeline.live.outputs.fallback import card
from vidbg.pipeline.live.pipeline import LivePipeline

View = Literal["output", "mask", "camera"]

FRESH_S = 1.0
"""Masks and camera frames are shown only for so long, as viewers of a preview take them for now."""


def view_image(pipeline: LivePipeline, view: View) -> Image:
    """Make the image of a view. Nothing is computed for views that nobody asks for.

    Args:
        view: "output" is what viewers see; "mask" is the alpha of the newest frame, white for the
            person; "camera" is the room as the camera sees it, which the caller must not show
            before its user has agreed.
    Returns:
        uint8 (H, W, 3), BGR, of the output's size, or the slate while there is no such image. Must
        not be written to.
    """
    info, shown = pipeline.context.info, pipeline.outputs.shown
    if view == "output":
        return pipeline.outputs.fallback if shown is None else shown.frame.image
    oldest_s = time.monotonic() - FRESH_S
    if not pipeline.gate.shows_card and pipeline.camera.active:
        if view == "camera":
            frame = pipeline.matting.newest_frame
            if frame is not None and frame.at_s > oldest_s:
                return letterbox(frame.frame.image, info.height, info.width)
        else:
            pipeline.context.alpha_asked_s = time.monotonic()
            matted = pipeline.matting.newest_alpha
            if matted is not None and matted.at_s > oldest_s:
                mask = np.rint(255 * matted.alpha).astype(np.uint8)
                return np.asarray(cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR), np.uint8)
    return card(info.width, info.height)
