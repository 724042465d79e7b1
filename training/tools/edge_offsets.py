"""Where each set's masks put the edge: `python -m training.tools.edge_offsets --data DATA/train`.

The network's alpha is the common measure: a set's offset is how far its masks' edges lie outside
the network's, as the median over its images. What is wrong with the network's own edge cancels out
against the reference, a set of keyed images. The options printed for `training.train` bring every
set to the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from training.command_line import run as run_command
from training.data.image_sets import ImageSet, find_sets, read_sample
from training.data.mask_edges import UNIT_PIXELS, edge_offset
from training.evaluate.predict import Infer
from vidbg.errors import ConfigError
from vidbg.matting.backends import load_backend, parse_engine
from vidbg.matting.preprocess import content, network_input, plan_geometry, shrink

LEAST_SHIFT = 0.05
"""Smaller shifts are not worth an option, in pixels."""


def set_offsets(infer: Infer, image_set: ImageSet, limit: int) -> list[float]:
    """Offsets of a set's masks in pixels, for up to `limit` images spread over the set."""
    step = max(1, len(image_set.samples) // limit)
    offsets = []
    for sample in image_set.samples[::step][:limit]:
        image, mask = read_sample(sample)
        height, width = image.shape[:2]
        geometry = plan_geometry(height, width, UNIT_PIXELS)
        small = shrink(image, geometry)
        alpha = content(infer(network_input(small, None, geometry)), geometry)
        size = (small.shape[1], small.shape[0])
        truth = cv2.resize(mask, size, interpolation=cv2.INTER_AREA) * np.float32(1 / 255)
        offset = edge_offset(np.asarray(truth, np.float32), alpha)
        if offset is not None:
            offsets.append(offset)
    return offsets


def table(offsets: dict[str, list[float]], reference: Sequence[str]) -> str:
    """Format the offsets as a Markdown table, and the options that bring all sets together."""
    middle = {name: float(np.median(values)) for name, values in offsets.items() if values}
    target = float(np.mean([middle[name] for name in reference]))
    lines = ["| set | images | offset | quartiles | shift |", "|---|---|---|---|---|"]
    options = []
    for name, offset in middle.items():
        low, high = np.percentile(offsets[name], (25, 75))
        shift = target - offset
        cells = f"{len(offsets[name])} | {offset:+.2f} | {low:+.2f} to {high:+.2f} | {shift:+.2f}"
        lines.append(f"| {name} | {cells} |")
        if name not in reference and abs(shift) >= LEAST_SHIFT:
            options.append(f"--edge {name}={shift:.2f}")
    return "\n".join([*lines, "", " ".join(options) or "No set needs a shift."])


def main(
    data: Annotated[Path, typer.Option(help="Folder with image sets.")],
    reference: Annotated[
        list[str], typer.Option(help="Name of a set with keyed alpha; repeat for the mean.")
    ],
    engine: Annotated[str, typer.Option(help="DEVICE:PRECISION of what ships.")] = "cpu:int8",
    limit: Annotated[int, typer.Option(min=1, help="Images of each set.")] = 60,
) -> None:
    """Measure where each set's masks put the edge, and print the shifts."""
    # A network would see cut-outs without a background
    sets = [s for s in find_sets(data) if s.people and not s.cutouts]
    if unknown := set(reference) - {s.name for s in sets}:
        known = [s.name for s in sets]
        raise ConfigError(f"--reference: no set named {sorted(unknown)}; choose from {known}")
    with closing(load_backend(*parse_engine(engine))) as backend:
        offsets = {s.name: set_offsets(backend, s, limit) for s in sets}
    typer.echo(table(offsets, reference))


if __name__ == "__main__":
    run_command(main)
