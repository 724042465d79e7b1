"""Train the network: `python -m training.train --data FOLDER --init WEIGHTS`.

Give `--steps` or `--minutes`: the cosine schedule ends with either. A run that is stopped, by
Ctrl-C or worse, goes on from its last checkpoint when the same command is given again.
"""

from __future__ import annotations

import json
import logging
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import cv2
import torch
import typer
from torch.utils.data import DataLoader

from training.augment import AugmentConfig, PairMaker
from training.batches import SIZES, Batches
from training.data import (
    PictureSet,
    find_sets,
    sampling_weights,
    split_by_names,
    split_set,
)
from training.trainer import TrainConfig, Trainer
from vidbg.errors import ConfigError
from vidbg.matting.engines import file_hash

logger = logging.getLogger(__name__)

RECIPE = "recipe.json"
"""Beside the weights: the data, the augmentation and the settings that made them."""


def run(trainer: Trainer, maker: PairMaker, validation: list[PictureSet], workers: int) -> None:
    """Train until the schedule ends, patience runs out, or the process is told to stop."""
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stopping.append(received))
    sums: dict[str, float] = {}
    since = trainer.step
    last_save = time.monotonic()
    trainer.train_mode()
    for images, masks in _batches(trainer, maker, workers):
        for name, value in trainer.train_step(images, masks).items():
            sums[name] = sums.get(name, 0.0) + value
        if stopping:
            trainer.save()
            logger.info("stopped by signal %d at step %d; saved", stopping[0], trainer.step)
            return
        if time.monotonic() - last_save > 120:
            trainer.save()
            last_save = time.monotonic()
        over = trainer.progress() >= 1
        if over or trainer.step % trainer.config.epoch_steps == 0:
            means = {name: value / (trainer.step - since) for name, value in sums.items()}
            sums, since = {}, trainer.step
            if trainer.validate(validation, means) or over:
                break
            trainer.train_mode()
    trainer.log.close()


def _batches(trainer: Trainer, maker: PairMaker, workers: int) -> Iterator[Any]:
    config = trainer.config
    limit = config.steps if config.steps is not None else 10_000_000
    dataset = Batches(maker, config.batch_pixels, config.seed, limit)
    loader: DataLoader[Any] = DataLoader(
        dataset,
        batch_size=None,
        sampler=range(trainer.step, limit),
        num_workers=workers,
        worker_init_fn=_init_worker,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def _init_worker(_: int) -> None:
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def load_data(
    data: Path, validation: Path | None, fraction: float, lists: Path | None, seed: int
) -> tuple[list[PictureSet], list[PictureSet]]:
    """Training and validation sets: another folder, a list of names, or a share of each set."""
    sets = find_sets(data)
    if validation is not None:
        return sets, find_sets(validation)
    if lists is not None:
        names = lists.read_text().split()
        parts = [split_by_names(s, names) for s in sets]
    else:
        parts = [split_set(s, fraction, seed) for s in sets]
    return [p[0] for p in parts], [p[1] for p in parts if p[1] is not None]


def _overrides(set_weight: list[str]) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in (item.split("=") for item in set_weight)}
    except ValueError:
        raise ConfigError(f"--set-weight {set_weight}: each must be NAME=NUMBER") from None


def main(
    data: Annotated[Path, typer.Option(help="Folder with picture sets.")],
    init: Annotated[Path | None, typer.Option(help="Weights to start from.")] = None,
    val: Annotated[Path | None, typer.Option(help="Folder with validation sets.")] = None,
    val_fraction: Annotated[float, typer.Option(help="Share held out without --val.")] = 0.2,
    val_list: Annotated[
        Path | None, typer.Option(help="File naming the held-out pictures.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Checkpoints, logs, curves.")] = Path("runs/train"),
    set_weight: Annotated[list[str] | None, typer.Option(help="NAME=WEIGHT of a set.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes of training.")] = None,
    lr: Annotated[float, typer.Option(help="Peak learning rate of the encoder.")] = 1e-4,
    decoder_factor: Annotated[float, typer.Option(help="The decoder's rate over it.")] = 6.0,
    weight_decay: Annotated[float, typer.Option()] = 1e-2,
    warmup: Annotated[int, typer.Option(help="Steps of linear warm-up.")] = 200,
    clip: Annotated[float, typer.Option(help="Largest gradient norm.")] = 3.0,
    ema: Annotated[float, typer.Option(help="Decay of the averaged weights.")] = 0.998,
    batch_pixels: Annotated[int, typer.Option(help="Pixels in a batch.")] = 16 * 224 * 224,
    train_stem: Annotated[bool, typer.Option(help="Train conv1 and layer1 too.")] = False,
    epoch_steps: Annotated[int, typer.Option(help="Steps between validations.")] = 500,
    patience: Annotated[int, typer.Option(help="Validations without gain before the end.")] = 8,
    val_pixels: Annotated[int, typer.Option(help="Network size in validation.")] = 256 * 256,
    workers: Annotated[int, typer.Option(help="Processes that make batches.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, mps.")] = "cpu",
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Train the matting network."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if steps is None and minutes is None:
        raise typer.BadParameter("give --steps or --minutes")
    torch.manual_seed(seed)
    config = TrainConfig(
        steps, minutes, lr, decoder_factor, weight_decay, warmup, clip, ema, batch_pixels,
        train_stem, epoch_steps, patience, val_pixels, seed,
    )  # fmt: skip
    training, validation = load_data(data, val, val_fraction, val_list, seed)
    people = [s for s in training if s.people]
    rooms = [s for s in training if not s.people]
    weights = sampling_weights(people, _overrides(set_weight or []))
    augmentation = AugmentConfig()
    recipe = {
        "init": None if init is None else {"file": init.name, "sha256": file_hash(init)},
        "people": {
            s.name: {"pictures": len(s.samples), "share": round(float(weight), 4)}
            for s, weight in zip(people, weights, strict=True)
        },
        "rooms": {s.name: len(s.samples) for s in rooms},
        "augmentation": asdict(augmentation),
        "sizes": SIZES,
        "training": asdict(config),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / RECIPE).write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")
    maker = PairMaker(people, weights, rooms, augmentation)
    run(Trainer(config, out, init, torch.device(device)), maker, validation, workers)


if __name__ == "__main__":
    typer.run(main)
