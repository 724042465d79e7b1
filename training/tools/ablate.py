"""Measure what each part of the recipe is worth: short trainings, each without one part.

    python -m training.tools.ablate --data DATA/train --val DATA/val --init WEIGHTS --out FOLDER

All trainings start from the same weights and see the same number of pixels. They are short, so the
table shows what helps a network to learn, not where it ends up. Finished ones are not repeated.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from training.command_line import run as run_command
from training.training_log import Row, read_log

logger = logging.getLogger(__name__)

COLUMNS = ("portraits/iou", "portraits/boundary_f", "portraits/mad", "street/iou",
           "street/boundary_f", "rooms/false_person", "no_person/false_person")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Variant:
    """A training, and the options of `training.train` in which it differs."""

    title: str
    options: tuple[str, ...]


PSEUDO = ("portraits", "masked", "video_frames", "gestures", "webcam_gestures", "yoga",
          "ccp_unlabelled", "voc_people")  # fmt: skip
_SMALL_ONLY = ("--size", "160x160", "--size", "128x224")
_SEED_LOSS = ("--loss", "l1=0", "--loss", "region=0", "--loss", "edge=0")

VARIANTS = {
    "whole": Variant("whole recipe", ()),
    "no-l1": Variant("without L1", ("--loss", "l1=0")),
    "no-region": Variant("without soft Jaccard", ("--loss", "region=0")),
    "no-edge": Variant("without Laplacian edges", ("--loss", "edge=0")),
    "gradient": Variant(
        "gradients for Laplacian edges", ("--loss", "edge=0", "--loss", "gradient=2")
    ),
    "cropped": Variant(
        "people never shown whole", ("--framing", "webcam=0.6", "--framing", "whole=0")
    ),
    "bce": Variant("binary cross-entropy alone", _SEED_LOSS),
    "no-composites": Variant("no people on other backgrounds", ("--augment", "composite=0")),
    "no-pseudo": Variant(
        "without the pseudo sets",
        tuple(word for name in PSEUDO for word in ("--without", f"pseudo/{name}")),
    ),
    "no-street": Variant("without street", ("--without", "street")),
    "small": Variant("small images only (160 x 160, 128 x 224)", _SMALL_ONLY),
    "prior": Variant("with the previous alpha, clips", ("--priors", "--clips", "0.25")),
    "seed": Variant(
        "the seed's network and recipe, 256 x 256",
        ("--network", "seed", "--size", "256x256", *_SEED_LOSS, "--weight-decay", "0",
         "--schedule", "plateau", "--lr", "1e-4", "--decoder-factor", "1"),
    ),
}  # fmt: skip


def last_row(folder: Path) -> Row | None:
    """Return the last validation of a training, if there was one."""
    rows = read_log(folder / "log.csv")
    return rows[-1] if rows else None


def table(results: dict[str, Row]) -> str:
    """Format a Markdown table with a row for each variant."""
    lines = ["| training | " + " | ".join(COLUMNS) + " |", "|---" * (1 + len(COLUMNS)) + "|"]
    for name, row in results.items():
        cells = (f"{row[c]:.4f}" if c in row else "–" for c in COLUMNS)
        lines.append(f"| {VARIANTS[name].title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def train(folder: Path, variant: Variant, steps: int, options: list[str]) -> Row:
    """Train one variant, unless it is finished, and return its scores.

    Raises:
        CalledProcessError: the training failed.
    """
    done = last_row(folder)
    if done is not None and done["step"] >= steps:
        return done
    command = [sys.executable, "-m", "training.train", "--out", str(folder), *options]
    command += ["--steps", str(steps), "--epoch-steps", str(steps), *variant.options]
    subprocess.run(command, check=True)
    row = last_row(folder)
    assert row is not None
    return row


def main(
    data: Annotated[Path, typer.Option(help="Folder with image sets.")],
    val: Annotated[Path, typer.Option(help="Folder with validation sets.")],
    init: Annotated[Path, typer.Option(help="Weights to start from.")],
    out: Annotated[Path, typer.Option(help="A folder a training, and table.md.")],
    only: Annotated[list[str] | None, typer.Option(help="Name of a variant; repeat.")] = None,
    steps: Annotated[int, typer.Option(help="Of each training.")] = 300,
    batch_pixels: Annotated[int, typer.Option(help="Pixels in a batch.")] = 8 * 224 * 224,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
) -> None:
    """Train without one part at a time, and compare."""
    if unknown := set(only or []) - set(VARIANTS):
        raise typer.BadParameter(f"unknown variant {sorted(unknown)}; choose from {[*VARIANTS]}")
    options = ["--data", str(data), "--val", str(val), "--init", str(init), "--device", device]
    options += ["--batch-pixels", str(batch_pixels), "--warmup", str(steps // 10)]
    options += ["--set-weight", "portraits=50", "--ema", "0.98"]
    results = {}
    for name in only or VARIANTS:
        logger.info("%s: %s", name, VARIANTS[name].title)
        results[name] = train(out / name, VARIANTS[name], steps, options)
        (out / "table.md").write_text(table(results) + "\n", encoding="utf-8")
    typer.echo(table(results))


if __name__ == "__main__":
    run_command(main)
