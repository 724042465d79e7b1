"""Score networks on held-out images and clips, and show where they fail.

    python -m training.evaluate --data DATA/val --clips DATA/testclips --engine cpu:int8

Images are scored twice: `bare`, the network's alpha resized bilinearly, and `served`, the program's
alpha of a single image. Clips are scored in each of `clip_scores.STATES`. The output folder gets
scores.md, the tables; scores.json, the same and the scores of every image; worst.png, the worst
images with people; and worst-SET.png for each set.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import typer

from training.data.image_sets import ImageSet, find_sets
from training.evaluate.clip_scores import score_states
from training.evaluate.image_scores import Scored, group, mean_by_set, score_images
from training.evaluate.predict import Remembering, bare, served
from training.evaluate.prior_recovery import WRONG, score_recovery
from training.evaluate.quick_scores import OVERALL, Scores
from training.evaluate.worst_cases import worst_cases, worst_sheet
from vidbg.matting.backends import Backend, load_backend, parse_engine
from vidbg.matting.backends.pytorch import PyTorchBackend
from vidbg.matting.ladder import USUAL_PIXELS

logger = logging.getLogger(__name__)

Columns = Mapping[str, tuple[str, str]]
"""A table's columns: key of the value to title and format."""

SUBJECT: Columns = {"engine": ("engine", ""), "pixels": ("pixels", ""), "alpha": ("alpha", "")}
IMAGE_COLUMNS: Columns = {
    **SUBJECT,
    "set": ("set", ""),
    "images": ("images", ""),
    "iou": ("IoU", ".4f"),
    "precision": ("precision", ".4f"),
    "recall": ("recall", ".4f"),
    "f1": ("F1", ".4f"),
    "boundary_f": ("boundary F", ".4f"),
    "mad": ("MAD", ".2f"),
    "grey": ("grey", ".2f"),
    "mse": ("MSE", ".2f"),
    "grad": ("Grad", ".3f"),
    "conn": ("Conn", ".3f"),
    "false_person": ("false person", ".1%"),
}
CLIP_COLUMNS: Columns = {
    **SUBJECT,
    "set": ("clip", ""),
    "iou": ("IoU", ".4f"),
    "boundary_f": ("boundary F", ".4f"),
    "mad": ("MAD", ".2f"),
    "mse": ("MSE", ".2f"),
    "dtssd": ("dtSSD", ".3f"),
    "flicker": ("flicker", ".3f"),
}
RECOVERY_COLUMNS: Columns = {
    "engine": ("engine", ""),
    "pixels": ("pixels", ""),
    "set": ("clip", ""),
    **{name: (name, "d") for name in WRONG},
}
NOTE = """\
Means over images or frames; overall: over all images with people, or over the clips. IoU,
precision, recall and F1 at alpha >= 0.5. MAD, MSE and flicker x 1000, dtSSD x 100. Grey: share of
the pixels, x 1000, with an alpha between 0.1 and 0.9 away from every true edge. Grad and Conn are
sums in thousands, so they grow with the image. False person: share of the images of nobody with
more than 1 % called person. The last table: for how many frames the network's alpha differs after
one wrong previous alpha."""
TABLES = {"images": IMAGE_COLUMNS, "clips": CLIP_COLUMNS, "recovery": RECOVERY_COLUMNS}
USUAL_ENGINES = ("cpu:fp32", "cpu:int8")


@dataclass(frozen=True, slots=True)
class Result:
    """Scores of one engine at one size.

    Attributes:
        engine: DEVICE:PRECISION, or the file of the weights.
        pixels: size of the network's input.
        alpha: bare or served; for clips, one of `clip_scores.STATES`; for recovery, prior.
        scores: by set or clip, and the mean over all.
        rows: the images; empty for clips.
    """

    engine: str
    pixels: int
    alpha: str
    scores: Mapping[str, Mapping[str, float]]
    rows: list[Scored]


def score_engine(name: str, sets: Sequence[ImageSet], pixels: int) -> dict[str, Scores]:
    """Score an engine's bare alpha on each set and on all images with people.

    Args:
        name: DEVICE or DEVICE:PRECISION.
        sets: image sets, with people or without.
        pixels: size of the network's input.
    Raises:
        BackendError, ConfigError: the engine cannot be used.
    """
    with closing(load_backend(*parse_engine(name))) as backend:
        return mean_by_set(score_images(bare(backend, pixels), sets))


def on_images(engine: str, backend: Backend, sets: Sequence[ImageSet], pixels: int) -> list[Result]:
    """Score the bare and the served alpha."""
    results = []
    for alpha, predictor in (("bare", bare), ("served", served)):
        rows = score_images(predictor(backend, pixels), sets)
        results.append(Result(engine, pixels, alpha, mean_by_set(rows), rows))
        logger.info("%s, %d pixels, %s: %d images", engine, pixels, alpha, len(rows))
    return results


def on_clips(engine: str, backend: Backend, clips: Path, pixels: int) -> list[Result]:
    """Score the clips below a folder, with and without the state that the program keeps."""
    states = score_states(backend, clips, pixels)
    return [Result(engine, pixels, state, scores, []) for state, scores in states.items()]


def on_recovery(engine: str, backend: Backend, clips: Path, pixels: int) -> Result:
    """Count the frames affected by one wrong previous alpha, by clip and kind of mistake."""
    return Result(engine, pixels, "prior", score_recovery(backend, clips, pixels), [])


def table(columns: Columns, results: Sequence[Result]) -> str:
    """Format a Markdown table with a row for each engine, size, kind of alpha and set."""
    titles = [title for title, _ in columns.values()]
    lines = ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|"]
    for result in results:
        counts = {name: len(rows) for name, rows in group(result.rows).items()}
        subject = {name: getattr(result, name) for name in SUBJECT}
        for name, part in result.scores.items():
            row = {**subject, "set": name, "images": counts.get(name), **part}
            cells = (format(row[c], f) if c in row else "–" for c, (_, f) in columns.items())
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def facts(result: Result) -> dict[str, Any]:
    """Return a result as it appears in scores.json."""
    rows = [{"set": r.set_name, "name": r.sample.image.stem, **r.scores} for r in result.rows]
    subject = {name: getattr(result, name) for name in SUBJECT}
    return {**subject, "scores": result.scores, **({"rows": rows} if rows else {})}


def write_scores(results: Mapping[str, Sequence[Result]], out: Path) -> str:
    """Write scores.md and scores.json, and return the text of the former.

    Args:
        results: by the name of their table.
    """
    tables = [table(TABLES[name], part) for name, part in results.items() if part]
    text = "\n\n".join([*tables, NOTE])
    (out / "scores.md").write_text(text + "\n", encoding="utf-8")
    record = {name: [facts(r) for r in part] for name, part in results.items()}
    (out / "scores.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return text


def write_sheets(backend: Backend, result: Result, count: int, out: Path) -> None:
    """Write worst.png for all images with people, and worst-SET.png for each set."""
    predict = served(backend, result.pixels)
    for name, rows in group(result.rows).items():
        chosen, means = worst_cases(rows, count), result.scores[name]
        mean = (
            f"mean IoU {means['iou']:.4f}, MAD {means['mad']:.2f}"
            if "iou" in means
            else f"{means['false_person']:.1%} taken for people"
        )
        title = (
            f"The worst {len(chosen)} of {len(rows)} images, {name}: {result.engine}, "
            f"{result.pixels} pixels, as served; {mean}"
        )
        file = "worst.png" if name == OVERALL else f"worst-{name.replace('/', '_')}.png"
        cv2.imwrite(str(out / file), worst_sheet(predict, chosen, title))


def _subjects(weights: Path | None, engines: list[str] | None) -> dict[str, Callable[[], Backend]]:
    """Map the name of what is to be scored to a function that loads it."""
    names = engines if engines or weights else USUAL_ENGINES
    subjects: dict[str, Callable[[], Backend]] = {
        name: partial(load_backend, *parse_engine(name)) for name in names or ()
    }
    if weights is not None:
        subjects[str(weights)] = partial(PyTorchBackend, "cpu", "fp32", weights=weights)
    return subjects


def main(
    data: Annotated[Path, typer.Option(help="Folder with image sets.")],
    clips: Annotated[
        Path | None, typer.Option(help="Folder with clips and their true alpha.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Trained weights, run by PyTorch."),
    ] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="DEVICE:PRECISION[:NETWORK] to run; repeat. Default: fp32 and int8 on cpu."
        ),
    ] = None,
    pixels: Annotated[
        list[int] | None,
        typer.Option(help=f"Pixels of the network's input; repeat. [{USUAL_PIXELS}]"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for tables, JSON, sheets.")] = Path(
        "runs/evaluate"
    ),
    count: Annotated[
        int, typer.Option("--worst", min=0, help="Images on a contact sheet; 0 for no sheets.")
    ] = 24,
) -> None:
    """Score engines or weights. The sheets show the last one, at the last size."""
    out.mkdir(parents=True, exist_ok=True)
    sets = find_sets(data)
    results: dict[str, list[Result]] = {name: [] for name in TABLES}
    subjects = _subjects(weights, engine)
    for name, load in subjects.items():
        with closing(load()) as backend:
            remembering = Remembering(backend)
            for size in pixels or [USUAL_PIXELS]:
                results["images"] += on_images(name, remembering, sets, size)
                if clips is not None:
                    results["clips"] += on_clips(name, backend, clips, size)
                    results["recovery"].append(on_recovery(name, backend, clips, size))
            if count and name == list(subjects)[-1]:
                write_sheets(remembering, results["images"][-1], count, out)
    typer.echo(write_scores(results, out))
