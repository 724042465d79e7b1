"""Train a network: `python -m training.train --data FOLDER --init WEIGHTS`.

`--steps` or `--minutes` ends the cosine schedule. A run that was stopped continues from its last
checkpoint when the same command is given again.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, cast

import cv2
import torch
import typer
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from training.command_line import run as run_command
from training.data.batches import Batches
from training.data.image_sets import (
    ImageSet,
    find_sets,
    find_unlabelled,
    keep_decoded,
    sampling_weights,
    split_by_names,
    split_set,
)
from training.data.mask_edges import UNIT_PIXELS
from training.data.scene_sources import SceneSources
from training.data.scenes import AugmentConfig, SceneMaker
from training.data.trust import COARSE_TRUST, TRUST, trust_by_set
from training.model.teacher import SHIPPED, teacher_file
from training.provenance import RECIPE, origin
from training.tools.ensemble import keep_agreeing, read_agreement
from training.train_options import (
    check_names,
    edge_shifts,
    fast_precision,
    framings,
    loss_weights,
    numbers,
    scene_shares,
    sizes,
)
from training.trainer import NETWORKS, TrainConfig, Trainer

logger = logging.getLogger(__name__)


def run(trainer: Trainer, maker: SceneMaker, validation: list[ImageSet], workers: int) -> None:
    """Train until the schedule ends, patience runs out, or the process is told to stop."""
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stopping.append(received))
    sums: dict[str, float] = {}
    since = trainer.step
    last_save = time.monotonic()
    trainer.train_mode()
    for batch in _batches(trainer, maker, workers):
        for name, value in trainer.train_step(batch).items():
            sums[name] = sums.get(name, 0.0) + value
        if trainer.agree(bool(stopping)):
            trainer.save()
            logger.info("stopped at step %d; saved", trainer.step)
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
    trainer.close()


def _batches(trainer: Trainer, maker: SceneMaker, workers: int) -> Iterator[Any]:
    config = trainer.config
    limit = config.steps if config.steps is not None else 10_000_000
    rank, world = trainer.fabric.global_rank, trainer.fabric.world_size
    dataset = Batches(
        maker, config.batch_pixels, config.seed, limit * world,
        sizes=config.sizes, clips=config.clips, priors=config.priors,
        teacher_pixels=None if config.teacher is None else config.teacher_pixels,
    )  # fmt: skip
    loader: DataLoader[Any] = DataLoader(
        dataset,
        batch_size=None,
        sampler=range(trainer.step * world + rank, limit * world, world),
        num_workers=workers,
        pin_memory=trainer.fabric.device.type == "cuda",
        worker_init_fn=_init_worker,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def _init_worker(_: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the run ends workers
        signal.signal(number, signal.SIG_IGN)


def load_data(
    data: Path, validation: Path | None, fraction: float, lists: Path | None, seed: int
) -> tuple[list[ImageSet], list[ImageSet]]:
    """Find the training and validation sets.

    Validation is a folder of its own, the images named in a file, or a share of each set.
    """
    sets = find_sets(data)
    if validation is not None:
        return sets, find_sets(validation)
    if lists is not None:
        names = lists.read_text().split()
        parts = [split_by_names(s, names) for s in sets]
    else:
        parts = [split_set(s, fraction, seed) for s in sets]
    return [p[0] for p in parts], [p[1] for p in parts if p[1] is not None]


def main(
    data: Annotated[Path, typer.Option(help="Folder with image sets.")],
    init: Annotated[Path | None, typer.Option(help="Weights to start from.")] = None,
    val: Annotated[Path | None, typer.Option(help="Folder with validation sets.")] = None,
    val_fraction: Annotated[float, typer.Option(help="Share held out without --val.")] = 0.2,
    val_list: Annotated[
        Path | None, typer.Option(help="File with names of held-out images.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, logs and curves.")] = Path(
        "runs/train"
    ),
    network: Annotated[
        str, typer.Option(help="resnet50, light, or seed (the baseline).")
    ] = "resnet50",
    set_weight: Annotated[list[str] | None, typer.Option(help="NAME=WEIGHT of a set.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="Name of a set to leave out.")] = None,
    agreement: Annotated[
        Path | None,
        typer.Option(help="Table that `training.tools.ensemble judge` wrote of the training sets."),
    ] = None,
    min_agreement: Annotated[
        float, typer.Option(help="IoU with the ensemble below which an image is left out.")
    ] = 0.85,
    objects: Annotated[Path | None, typer.Option(help="Folder with cut-outs of objects.")] = None,
    coarse: Annotated[
        list[str] | None, typer.Option(help="Name of a set whose masks are rough at edges; repeat.")
    ] = None,
    plain: Annotated[
        list[str] | None,
        typer.Option(help="Name of a set with plain backdrops; repeat."),
    ] = None,
    edge: Annotated[
        list[str] | None,
        typer.Option(
            help="SET=PIXELS to move the edge of a set's masks outwards, in an image of "
            f"{UNIT_PIXELS} pixels; training.tools.edge_offsets measures it."
        ),
    ] = None,
    augment: Annotated[
        list[str] | None,
        typer.Option(help="NAME=SHARE of scenes: composite, objects, motion_blur, ...; repeat."),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Weights of a larger network to distil from, or `shipped`.")
    ] = None,
    teacher_pixels: Annotated[
        int, typer.Option(min=64 * 64, help="Minimum input size of the teacher.")
    ] = 147456,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            help="SET=SHARE of the teacher in the targets of a set, of the sets in a folder, or of "
            f"composites; {TRUST} of most, {COARSE_TRUST} of coarse sets, 1 of unlabelled, else 0."
        ),
    ] = None,
    unlabelled: Annotated[
        Path | None, typer.Option(help="Folder with sets of people without masks, for a teacher.")
    ] = None,
    framing: Annotated[
        list[str] | None,
        typer.Option(help="webcam=SHARE, close=SHARE or whole=SHARE of crops; repeat."),
    ] = None,
    priors: Annotated[bool, typer.Option(help="Train the channel of the previous alpha.")] = False,
    clips: Annotated[float, typer.Option(help="Share of batches that are clips.")] = 0.0,
    loss: Annotated[list[str] | None, typer.Option(help="TERM=WEIGHT of the loss.")] = None,
    size: Annotated[list[str] | None, typer.Option(help="HEIGHTxWIDTH; repeat.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Minutes, including validation.")] = None,
    lr: Annotated[float, typer.Option(help="Peak learning rate of the encoder.")] = 1e-4,
    decoder_factor: Annotated[
        float, typer.Option(help="Learning rate of the decoder over the encoder's.")
    ] = 6.0,
    weight_decay: Annotated[float, typer.Option()] = 1e-2,
    schedule: Annotated[str, typer.Option(help="cosine or plateau.")] = "cosine",
    warmup: Annotated[int, typer.Option(help="Steps of linear warm-up.")] = 200,
    clip: Annotated[float, typer.Option(help="Largest gradient norm.")] = 3.0,
    ema: Annotated[float, typer.Option(help="Decay of the averaged weights.")] = 0.998,
    batch_pixels: Annotated[int, typer.Option(help="Pixels in a batch.")] = 16 * 224 * 224,
    train_stem: Annotated[bool, typer.Option(help="Train conv1 and layer1 too.")] = False,
    hold_norms: Annotated[bool, typer.Option(help="Fix all batch norm statistics.")] = False,
    epoch_steps: Annotated[int, typer.Option(help="Steps between validations.")] = 500,
    patience: Annotated[
        int, typer.Option(help="Validations without improvement before it ends.")
    ] = 8,
    val_pixels: Annotated[int, typer.Option(help="Network size in validation.")] = 224 * 384,
    workers: Annotated[int, typer.Option(help="Number of processes that make batches.")] = 1,
    in_memory: Annotated[
        bool, typer.Option(help="Keep all decoded images in memory, 4 bytes per pixel.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    devices: Annotated[str, typer.Option(help="Number of devices, or auto.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="auto (what the device is fast at), bf16-mixed, 16-mixed, 32-true.")
    ] = "auto",
    seed: Annotated[int, typer.Option()] = 0,
) -> None:
    """Train the matting network."""
    if steps is None and minutes is None:
        raise typer.BadParameter("give --steps or --minutes")
    if network not in NETWORKS:
        raise typer.BadParameter(f"unknown network {network!r}; choose from {[*NETWORKS]}")
    if schedule not in ("cosine", "plateau"):
        raise typer.BadParameter(f"unknown schedule {schedule!r}; choose from cosine, plateau")
    if teacher is None and (trust or unlabelled):
        raise typer.BadParameter("--trust and --unlabelled need --teacher")
    if teacher not in (None, SHIPPED) and not Path(str(teacher)).is_file():
        raise typer.BadParameter(f"--teacher {teacher}: no such file; give weights or {SHIPPED}")
    if precision == "auto":
        precision = fast_precision(device)
        logger.info("precision %s", precision)
    torch.manual_seed(seed)
    config = TrainConfig(
        network=network, steps=steps, minutes=minutes, learning_rate=lr,
        decoder_factor=decoder_factor, weight_decay=weight_decay, schedule=schedule,
        warmup_steps=warmup, clip_norm=clip, ema_decay=ema, batch_pixels=batch_pixels,
        sizes=sizes(size), train_stem=train_stem, hold_norms=hold_norms, priors=priors,
        clips=clips, loss=loss_weights(loss), epoch_steps=epoch_steps,
        patience=patience, validation_pixels=val_pixels, seed=seed,
        teacher=teacher, teacher_pixels=teacher_pixels,
    )  # fmt: skip
    augmentation = replace(AugmentConfig(), **scene_shares(augment), **framings(framing))

    training, validation = load_data(data, val, val_fraction, val_list, seed)
    check_names("--without", without or [], training)
    training = [s for s in training if s.name not in (without or [])]
    if agreement is not None:
        agreements = read_agreement(agreement)
        training = [keep_agreeing(s, agreements, min_agreement) for s in training]
    people = [s for s in training if s.people]
    if unlabelled is not None:
        people += find_unlabelled(unlabelled)
    check_names("--coarse", coarse or [], people)
    check_names("--plain", plain or [], people)
    shifts = edge_shifts(edge, people)
    sources = SceneSources(
        people=[replace(s, edge=shifts.get(s.name, 0.0)) for s in people],
        weights=sampling_weights(people, numbers("--set-weight", set_weight)),
        rooms=[s for s in training if not s.people],
        objects=None if objects is None else find_sets(objects)[0],
        coarse=coarse or [],
        plain=plain or [],
        trust=None
        if teacher is None
        else trust_by_set(people, numbers("--trust", trust), coarse or [], plain or []),
    )

    fabric = Fabric(
        accelerator=device,
        devices=int(devices) if devices.isdigit() else devices,
        precision=cast(Any, precision),
    )
    fabric.launch()
    if fabric.is_global_zero:
        recipe = {
            "init": None if init is None else origin(init),
            **sources.recipe(),
            "min_agreement": None if agreement is None else min_agreement,
            "augmentation": asdict(augmentation),
            "teacher": None if teacher is None else origin(teacher_file(teacher)),
            "trust": sources.trust,
            "training": {k: v for k, v in asdict(config).items() if k != "teacher"},  # a path
        }
        out.mkdir(parents=True, exist_ok=True)
        (out / RECIPE).write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")
    if in_memory:
        kept = keep_decoded([*sources.all_sets(), *validation], os.cpu_count() or 1)
        logger.info("%.1f GB of decoded images in memory", kept / 1e9)
    maker = SceneMaker(sources, augmentation)
    run(Trainer(config, out, init, fabric), maker, validation, workers)


if __name__ == "__main__":
    run_command(main)
