"""Training logs: a CSV, TensorBoard events and curves as a PNG."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

Row = dict[str, float]


class TrainingLog:
    """Appends a row to `log.csv` and TensorBoard at each validation, and redraws `curves.png`.

    A resumed training continues the same files.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._csv = folder / "log.csv"
        self._plot = folder / "curves.png"
        self._board = SummaryWriter(str(folder / "tensorboard"))

    def append(self, step: int, row: Row) -> None:
        rows = [*read_log(self._csv), {"step": float(step), **row}]
        with self._csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[-1]), extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        for name, value in row.items():
            self._board.add_scalar(name, value, step)
        self._board.flush()
        draw_curves(rows, self._plot)

    def close(self) -> None:
        self._board.close()


def read_log(path: Path) -> list[Row]:
    """Read the rows of a log; empty if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def log_row(
    minutes: float, rate: float, losses: Row, scores: Mapping[str, Row], score: float
) -> Row:
    """Make a row: time, learning rate, mean terms of the loss, scores of all sets, summary."""
    row = {"minutes": minutes, "score": score, "learning_rate": rate}
    row |= {f"loss/{name}": value for name, value in losses.items()}
    return row | {f"{s}/{name}": v for s, part in scores.items() for name, v in part.items()}


def one_line(scores: Mapping[str, Row]) -> str:
    shown = ("iou", "f1", "boundary_f", "mad", "false_person")
    parts = (
        f"{name} " + " ".join(f"{key} {part[key]:.4f}" for key in shown if key in part)
        for name, part in scores.items()
    )
    return "; ".join(parts)


def draw_curves(rows: list[Row], path: Path) -> None:
    """Plot losses, IoU, boundary F and learning rate over steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    panels: dict[str, Callable[[str], bool]] = {
        "loss": lambda name: name.startswith("loss/"),
        "IoU": lambda name: name.endswith("/iou"),
        "boundary F": lambda name: name.endswith("/boundary_f"),
        "learning rate": lambda name: name == "learning_rate",
    }
    for axis, (title, wanted) in zip(axes.flat, panels.items(), strict=True):
        names = [name for name in rows[-1] if wanted(name)]
        for name in names:
            points = [(row["step"], row[name]) for row in rows if name in row]
            axis.plot(*zip(*points, strict=True), marker=".", label=name)
        axis.set_title(title)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        if names:
            axis.legend(fontsize="small")
    figure.savefig(path, dpi=80)
