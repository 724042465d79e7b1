"""The network in training: one optimiser step, the averaged weights, validation, state on disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from training.checkpoint import load_init, load_state, save_state, save_weights
from training.data import PictureSet
from training.log import TrainingLog
from training.losses import matting_loss
from training.validate import Scores, score_set, summary
from vidbg.matting.network import MattingNetwork
from vidbg.matting.preprocess import IMAGENET_MEAN, IMAGENET_STD

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How to train; see the command's help for each."""

    steps: int | None
    minutes: float | None
    learning_rate: float
    decoder_factor: float
    weight_decay: float
    warmup_steps: int
    clip_norm: float
    ema_decay: float
    batch_pixels: int
    train_stem: bool
    epoch_steps: int
    patience: int
    validation_pixels: int
    seed: int


def to_input(images: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) BGR to float (N, 4, H, W), normalised, no prior, channels last."""
    rgb = images.flip(-1).permute(0, 3, 1, 2).float() / 255
    mean = rgb.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    std = rgb.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
    batch = nn.functional.pad((rgb - mean) / std, (0, 0, 0, 0, 0, 1))
    return batch.contiguous(memory_format=torch.channels_last)


def warm_ema(decay: float) -> Callable[[Any, Any, Any], None]:
    """Exponential moving average that starts short, so that the first weights are soon forgotten.

    The decay after n updates is min(decay, (1 + n) / (10 + n)).
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
        count = float(updates)
        weight = 1 - min(decay, (1 + count) / (10 + count))
        for kept, new in zip(averaged, current, strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, weight)
            else:
                kept.copy_(new)

    return update


class Trainer:
    """The network, its optimiser and its averaged copy, and the state of a run on disk."""

    def __init__(
        self, config: TrainConfig, folder: Path, init: Path | None, device: torch.device
    ) -> None:
        self.config, self.folder, self.device = config, folder, device
        self.network = MattingNetwork()
        if init is not None:
            logger.info("starting from %s", load_init(self.network, init))
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = AveragedModel(
            self.network, multi_avg_fn=warm_ema(config.ema_decay), use_buffers=True
        )
        self.optimizer = self._optimizer()
        self.step, self.elapsed_s, self.best, self.stale = 0, 0.0, 0.0, 0
        self.log = TrainingLog(folder)
        self._resume()

    def _optimizer(self) -> torch.optim.Optimizer:
        """AdamW: the pretrained encoder at the base rate, the new decoder faster."""
        encoder = self.network.encoder
        if not self.config.train_stem:
            for frozen in (encoder.conv1, encoder.bn1, encoder.layer1):
                frozen.requires_grad_(False)
        old = [p for p in encoder.parameters() if p.requires_grad]
        known = {id(p) for p in encoder.parameters()}
        new = [p for p in self.network.parameters() if id(p) not in known]
        rate = self.config.learning_rate
        groups = [
            {"params": old, "base_rate": rate},
            {"params": new, "base_rate": rate * self.config.decoder_factor},
        ]
        return torch.optim.AdamW(groups, lr=rate, weight_decay=self.config.weight_decay)

    def progress(self) -> float:
        """How much of the run is done, 0 to 1, by whichever limit comes first."""
        parts = [0.0]
        if self.config.steps is not None:
            parts.append(self.step / self.config.steps)
        if self.config.minutes is not None:
            parts.append(self.elapsed_s / (60 * self.config.minutes))
        return max(parts)

    def learning_factor(self) -> float:
        """Linear warm-up, then half a cosine down to 1 %."""
        warmup = min(1.0, (self.step + 1) / self.config.warmup_steps)
        cosine = 0.5 * (1 + float(np.cos(np.pi * min(1.0, self.progress()))))
        return warmup * (0.01 + 0.99 * cosine)

    def train_step(self, images: Tensor, masks: Tensor) -> dict[str, float]:
        start = time.monotonic()
        factor = self.learning_factor()
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_rate"] * factor
        target = masks.to(self.device).unsqueeze(1).float() / 255
        with torch.autocast(self.device.type, torch.bfloat16):
            logits = self.network.logits(to_input(images.to(self.device)))
        terms = matting_loss(logits, target)
        loss = torch.stack(list(terms.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        if torch.isfinite(norm):
            self.optimizer.step()
            self.averaged.update_parameters(self.network)
        else:
            logger.warning("step %d: gradient not finite, left out", self.step)
        self.step += 1
        self.elapsed_s += time.monotonic() - start
        return {name: float(term.detach()) for name, term in terms.items()}

    def train_mode(self) -> None:
        """Batch norm of the pretrained encoder keeps ImageNet's statistics: small batches of few
        sizes would only blur them, and it trains twice as fast on a CPU."""
        self.network.train()
        self.network.encoder.eval()

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Alpha (h, w) of one input (1, 4, h, w) by the averaged network."""
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16):
            inputs = torch.from_numpy(batch).to(self.device)
            averaged = cast(MattingNetwork, self.averaged.module)
            logits = averaged.logits(inputs.contiguous(memory_format=torch.channels_last))
        alpha: NDArray[np.float32] = logits.float().sigmoid()[0, 0].cpu().numpy()
        return alpha

    def validate(self, sets: list[PictureSet], losses: dict[str, float]) -> bool:
        """Score, log and keep the weights if they are the best; True when patience has run out."""
        self.averaged.eval()
        scores = {s.name: score_set(self.infer, s, self.config.validation_pixels) for s in sets}
        score = summary(scores)
        self.stale = 0 if score > self.best else self.stale + 1
        if score > self.best:
            self.best = score
            save_weights(self.averaged.module, self.folder / "best.safetensors")
        self.log.append(self.step, _row(self, losses, scores, score))
        self.save()
        logger.info("step %d, %.1f min: %s", self.step, self.elapsed_s / 60, _one_line(scores))
        return self.stale >= self.config.patience

    def save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "best": self.best,
            "stale": self.stale,
            "config": asdict(self.config),
        }
        save_state(self.folder / "checkpoint.pt", state)

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = load_state(path)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.elapsed_s = state["step"], state["elapsed_s"]
        self.best, self.stale = state["best"], state["stale"]
        logger.info("going on from step %d of %s", self.step, path)


def _row(
    trainer: Trainer, losses: dict[str, float], scores: dict[str, Scores], score: float
) -> dict[str, float]:
    row = {"minutes": trainer.elapsed_s / 60, "score": score}
    row["learning_rate"] = trainer.optimizer.param_groups[0]["lr"]
    row |= {f"loss/{name}": value for name, value in losses.items()}
    return row | {
        f"{s}/{name}": value for s, part in scores.items() for name, value in part.items()
    }


def _one_line(scores: dict[str, Scores]) -> str:
    shown = ("iou", "f1", "boundary_f", "mad", "false_person")
    parts = (
        f"{name} " + " ".join(f"{key} {part[key]:.4f}" for key in shown if key in part)
        for name, part in scores.items()
    )
    return "; ".join(parts)
