"""Score weights on picture sets and draw what they do.

`python -m training.evaluate --data FOLDER --engine cpu:fp32 --engine cpu:int8`
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from training.clips import score_clips
from training.data import PictureSet, find_sets
from training.predict import Infer
from training.validate import Scores, predictions, score_set
from vidbg.compositing import composite, estimate_foreground
from vidbg.config import MattingConfig
from vidbg.frame import Alpha, Image
from vidbg.matting.backends import load_backend, parse_engine
from vidbg.matting.matter import Matter

PICTURE_COLUMNS = ("iou", "precision", "recall", "f1", "boundary_f", "mad", "false_person")
CLIP_COLUMNS = ("iou", "boundary_f", "mad", "dtssd", "flicker")
SHEET_BACKGROUND = (80, 177, 0)
TILE_HEIGHT = 240
USUAL_PIXELS = MattingConfig().network_pixels


def score_engine(name: str, sets: list[PictureSet], pixels: int) -> dict[str, Scores]:
    """Scores per set of an engine given as DEVICE or DEVICE:PRECISION."""
    backend = load_backend(*parse_engine(name))
    try:
        return {pictures.name: score_set(backend, pictures, pixels) for pictures in sets}
    finally:
        backend.close()


def score_smoothing(name: str, clips: Path, pixels: int) -> dict[str, dict[str, Scores]]:
    """Scores per clip of an engine, with the temporal filter and without."""
    usual = MattingConfig(*parse_engine(name), network_pixels=pixels)
    results = {}
    for label, config in (("", usual), (" unsmoothed", replace(usual, smoothing_s=0.0))):
        with Matter(config=config) as matter:
            results[name + label] = score_clips(matter, clips)
    return results


def table(results: dict[str, dict[str, Scores]], columns: Sequence[str]) -> str:
    """A Markdown table: a row an engine and set."""
    lines = ["| engine | set | " + " | ".join(columns) + " |", "|---" * (2 + len(columns)) + "|"]
    for engine, scores in results.items():
        for name, part in scores.items():
            cells = (f"{part[c]:.4f}" if c in part else "–" for c in columns)
            lines.append(f"| {engine} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def contact_sheet(infer: Infer, pictures: PictureSet, pixels: int, count: int) -> Image:
    """Pictures spread over the set: each with its composite and its errors.

    Returns:
        uint8 (rows, columns, 3) BGR: picture, person on green, and errors: red where background
        is kept, blue where the person is missing.
    """
    step = max(1, len(pictures.samples) // count)
    chosen = PictureSet(pictures.name, pictures.samples[::step][:count], True, pictures.cutouts)
    tiles = [_tile(*row) for row in predictions(infer, chosen, pixels)]
    width = max(tile.shape[1] for tile in tiles)
    padded = [np.pad(t, ((0, 4), (0, width - t.shape[1]), (0, 0))) for t in tiles]
    rows = [np.hstack(padded[i : i + 2]) for i in range(0, len(padded) - 1, 2)]
    return np.vstack(rows)


def _tile(image: Image, alpha: Alpha, truth: Alpha) -> Image:
    green = np.full_like(image, SHEET_BACKGROUND)
    person = composite(estimate_foreground(image, alpha), alpha, green)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR) * 0.4
    grey[..., 2] += 255 * np.clip(alpha - truth, 0, 1)
    grey[..., 0] += 255 * np.clip(truth - alpha, 0, 1)
    strip = np.hstack([image, person, np.clip(grey, 0, 255).astype(np.uint8)])
    scale = TILE_HEIGHT / image.shape[0]
    size = (round(strip.shape[1] * scale), TILE_HEIGHT)
    return np.asarray(cv2.resize(strip, size, interpolation=cv2.INTER_AREA), np.uint8)


def main(
    data: Annotated[Path, typer.Option(help="Folder with picture sets.")],
    clips: Annotated[Path | None, typer.Option(help="Folder with clips, true alpha known.")] = None,
    engine: Annotated[list[str] | None, typer.Option(help="DEVICE:PRECISION; repeat.")] = None,
    pixels: Annotated[int, typer.Option(help="Pixels of the network's input.")] = USUAL_PIXELS,
    out: Annotated[Path, typer.Option(help="Table, JSON, contact sheets.")] = Path("runs/evaluate"),
    count: Annotated[int, typer.Option(help="Pictures on a contact sheet.")] = 12,
) -> None:
    """Evaluate the shipped network."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    out.mkdir(parents=True, exist_ok=True)
    sets = find_sets(data)
    engines = engine or ["cpu:fp32", "cpu:int8"]
    results = {name: score_engine(name, sets, pixels) for name in engines}
    text = table(results, PICTURE_COLUMNS)
    facts = {"pixels": pixels, "pictures": results}
    if clips is not None:
        facts["clips"] = on_clips = score_smoothing(engines[-1], clips, pixels)
        text += "\n\n" + table(on_clips, CLIP_COLUMNS)
    (out / "scores.md").write_text(text + "\n", encoding="utf-8")
    (out / "scores.json").write_text(json.dumps(facts, indent=2))
    backend = load_backend(*parse_engine(engines[-1]))
    for pictures in (s for s in sets if s.people):
        sheet = contact_sheet(backend, pictures, pixels, count)
        cv2.imwrite(str(out / f"{pictures.name.replace('/', '_')}.jpg"), sheet)
    typer.echo(text)


if __name__ == "__main__":
    typer.run(main)
