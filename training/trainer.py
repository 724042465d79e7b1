"""Training of a network: optimiser steps, averaged weights, validation, state on disk.

Lightning Fabric places the network on a CPU, a GPU or several GPUs with the same code.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from training.data.batches import Batch, Views, to_input
from training.data.image_sets import ImageSet
from training.data.priors import own_priors
from training.evaluate.quick_scores import score_set, summary
from training.losses.distillation import mix_targets, shrink_alpha
from training.losses.matting_loss import matting_loss, temporal_loss
from training.model.checkpoint import load_init, load_state, save_state, save_weights
from training.model.cpu_steps import PackedGradients, speed_up
from training.model.seed_network import SeedNetwork
from training.model.teacher import Teacher
from training.schedule import Plateau, cosine, warmup
from training.training_log import TrainingLog, log_row, one_line
from vidbg.matting import networks
from vidbg.matting.network import AlphaNetwork

logger = logging.getLogger(__name__)

BEST, LAST = "best.safetensors", "last.safetensors"
"""Files of the averaged weights that scored best, and of those last validated."""

NETWORKS: dict[str, Callable[[], AlphaNetwork]] = dict(networks.NETWORKS.items())
NETWORKS["seed"] = SeedNetwork


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of a training; see the help of `training.train`."""

    network: str
    steps: int | None
    minutes: float | None
    learning_rate: float
    decoder_factor: float
    weight_decay: float
    schedule: str
    warmup_steps: int
    clip_norm: float
    ema_decay: float
    batch_pixels: int
    sizes: tuple[tuple[int, int], ...]
    train_stem: bool
    hold_norms: bool
    priors: bool
    clips: float
    loss: dict[str, float]
    epoch_steps: int
    patience: int
    validation_pixels: int
    seed: int
    teacher: str | None = None
    teacher_pixels: int = 147456


def training_format(network: str, device: torch.device) -> torch.memory_format:
    """Return the memory layout in which a network trains fastest on a device.

    On CUDA the gradients of the light network's depthwise convolutions are slow in channels last:
    an H200 made 15 steps in 2.5 minutes.
    """
    depthwise = network == "light"
    contiguous = depthwise and device.type == "cuda"
    return torch.contiguous_format if contiguous else torch.channels_last


def warm_ema(decay: float) -> Callable[[Any, Any, Any], None]:
    """Return an exponential moving average that starts short, so that it forgets the first weights.

    The decay after n updates is min(decay, (1 + n) / (4 + n)). While the second is smaller, the
    average lags by a quarter of the updates (polynomial decay, Shamir and Zhang, ICML 2013).
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], updates: Tensor | int) -> None:
        count = float(updates)
        weight = 1 - min(decay, (1 + count) / (4 + count))
        for kept, new in zip(averaged, current, strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, weight)
            else:
                kept.copy_(new)

    return update


class Trainer:
    """Trains a network and its averaged copy, and keeps the state of the run on disk.

    Args:
        config: the settings.
        folder: output folder; a run continues from its checkpoint.
        init: weights to start from; None for random ones.
        fabric: places the network.
    """

    def __init__(
        self, config: TrainConfig, folder: Path, init: Path | None, fabric: Fabric
    ) -> None:
        self.config, self.folder, self.fabric = config, folder, fabric
        self.network = NETWORKS[config.network]()
        if init is not None:
            logger.info("starting from %s", load_init(self.network, init))
        torch.backends.cudnn.benchmark = True  # the few sizes of batches come again and again
        self._format = training_format(config.network, fabric.device)
        self.network.to(memory_format=self._format)
        optimizer = self._optimizer()
        self._module, self.optimizer = fabric.setup(self.network, optimizer)
        self._module.mark_forward_method("logits")
        self.averaged = AveragedModel(
            self.network, multi_avg_fn=warm_ema(config.ema_decay), use_buffers=True
        )
        self._teacher = None
        if config.teacher is not None:
            self._teacher = Teacher(config.teacher, fabric.device, fabric.autocast)
        self.step, self.elapsed_s, self.best, self.stale = 0, 0.0, -math.inf, 0
        self._counted_at = time.monotonic()
        self.plateau = Plateau()
        self.log = TrainingLog(folder) if fabric.is_global_zero else None
        self._resume()

    def _optimizer(self) -> torch.optim.Optimizer:
        """Make AdamW with the base rate for the encoder and a higher rate for the decoder."""
        encoder = self.network.encoder
        if not self.config.train_stem:
            for frozen in encoder.first_layers():
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
        """Return the share of the run that is done, 0 to 1, by the limit that comes first."""
        parts = [0.0]
        if self.config.steps is not None:
            parts.append(self.step / self.config.steps)
        if self.config.minutes is not None:
            parts.append(self.elapsed_s / (60 * self.config.minutes))
        return max(parts)

    def learning_factor(self) -> float:
        """Return the current share of the peak rate: linear warm-up, then the schedule."""
        by_cosine = self.config.schedule == "cosine"
        factor = cosine(self.progress()) if by_cosine else self.plateau.factor
        return warmup(self.step, self.config.warmup_steps) * factor

    def train_step(self, batch: Batch) -> dict[str, float]:
        """Make one optimiser step and return the weighted terms of the loss."""
        factor = self.learning_factor()
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_rate"] * factor
        terms = self._terms(batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(torch.stack(list(terms.values())).sum())
        norm = self.fabric.clip_gradients(
            self._module, self.optimizer, max_norm=self.config.clip_norm, error_if_nonfinite=False
        )
        if norm is not None and torch.isfinite(norm):
            self.optimizer.step()
            self.averaged.update_parameters(self.network)
        else:
            logger.warning("step %d: gradient not finite, left out", self.step)
        self.step += 1
        values = torch.stack([term.detach() for term in terms.values()]).tolist()  # one wait
        self._count_time()
        return dict(zip(terms, values, strict=True))

    def _count_time(self) -> None:
        now = time.monotonic()
        self.elapsed_s += now - self._counted_at
        self._counted_at = now

    def _terms(self, batch: Batch) -> dict[str, Tensor]:
        images, masks, priors = (self._placed(part) for part in batch[:3])
        target, prior = masks.unsqueeze(1).float() / 255, priors.float() / 255
        fine = self._placed(batch.fine)
        if self._teacher is not None and batch.views is not None:
            target, fine = self._taught(self._teacher, batch.views, target, fine)
        if batch.earlier is None:
            logits = self._logits(self._input(images, prior))
            return matting_loss(logits, target, self.config.loss, fine)
        before, target_before = self._before(batch.earlier)
        if self.config.priors:
            rng = np.random.default_rng((self.config.seed, self.fabric.global_rank, self.step))
            own = torch.from_numpy(own_priors(rng, len(prior))).to(prior.device)
            prior = torch.where(own[:, None, None], before[:, 0], prior)
        logits = self._logits(self._input(images, prior))
        terms = matting_loss(logits, target, self.config.loss, fine)
        change = temporal_loss(logits.float().sigmoid(), before, target, target_before)
        return terms | {"temporal": self.config.loss["temporal"] * change}

    def _placed(self, part: Any) -> Tensor:
        return torch.as_tensor(part).to(self.fabric.device, non_blocking=True)

    def _logits(self, inputs: Tensor) -> Tensor:
        """Run the wrapped network in mixed precision, which Fabric only enters for `forward`."""
        on_cpu = self.fabric.device.type == "cpu"
        with self.fabric.autocast(), PackedGradients() if on_cpu else nullcontext():
            logits: Tensor = self._module.logits(inputs)
        return logits

    def _input(self, images: Tensor, priors: Tensor | None = None) -> Tensor:
        return to_input(images, priors).contiguous(memory_format=self._format)

    @torch.no_grad()
    def _taught(
        self, teacher: Teacher, views: Views, target: Tensor, fine: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return target and `fine` with the teacher's part; where it leads, edges count again."""
        rows, trust = self._placed(views.rows), self._placed(views.trust)
        alpha = teacher(self._placed(views.images))
        height, width = views.content
        taught = shrink_alpha(alpha, (int(height), int(width)), (target.shape[2], target.shape[3]))
        target, fine = target.clone(), fine.clone()
        target[rows] = mix_targets(target[rows], taught, trust)
        fine[rows] |= trust > 0.5
        return target, fine

    @torch.no_grad()
    def _before(self, earlier: Any) -> tuple[Tensor, Tensor]:
        """Compute alpha and true alpha of the previous frames, float (N, 1, H, W)."""
        images, masks = (self._placed(part) for part in earlier)
        alpha = self._logits(self._input(images)).float().sigmoid()
        return alpha, masks.unsqueeze(1).float() / 255

    def train_mode(self) -> None:
        """Switch to training, with the batch norm statistics of the pretrained encoder fixed.

        Small batches of few sizes would only add noise to them, and it trains twice as fast on a
        CPU. `hold_norms` also fixes those of the decoder, for trainings that continue from weights
        of the whole network: a batch of one or two large images has no useful statistics.
        """
        self._counted_at = time.monotonic()
        self.network.train()
        self.network.encoder.eval()
        if self.config.hold_norms:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        if self.fabric.device.type == "cpu":
            speed_up(self.network)

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute alpha (h, w) of one input (1, 4, h, w) by the averaged network."""
        inputs = torch.from_numpy(batch).to(self.fabric.device)
        with torch.inference_mode(), self.fabric.autocast():
            averaged = cast(AlphaNetwork, self.averaged.module)
            logits = averaged.logits(inputs.contiguous(memory_format=self._format))
        alpha: NDArray[np.float32] = logits.float().sigmoid()[0, 0].cpu().numpy()
        return alpha

    def validate(self, sets: list[ImageSet], losses: dict[str, float]) -> bool:
        """Score the averaged weights, log the scores and save the weights if they are the best.

        The first process scores, the others wait for the result.

        Returns:
            Whether patience has run out.
        """
        score = self._score(sets, losses) if self.fabric.is_global_zero else 0.0
        score = float(self.fabric.broadcast(score))
        gained = score > self.best
        self.stale = 0 if gained else self.stale + 1
        self.best = max(score, self.best)
        self.plateau.update(gained)
        self._count_time()
        self.save()
        return self.stale >= self.config.patience

    def _score(self, sets: list[ImageSet], losses: dict[str, float]) -> float:
        self.averaged.eval()
        scores = {s.name: score_set(self.infer, s, self.config.validation_pixels) for s in sets}
        score = summary(scores)
        save_weights(self.averaged.module, self.folder / LAST)
        if score > self.best:
            save_weights(self.averaged.module, self.folder / BEST)
        rate = self.optimizer.param_groups[0]["lr"]
        if self.log is not None:
            self.log.append(self.step, log_row(self.elapsed_s / 60, rate, losses, scores, score))
        logger.info("step %d, %.1f min: %s", self.step, self.elapsed_s / 60, one_line(scores))
        return score

    def agree(self, stopping: bool) -> bool:
        """Return whether the first process stops; the others take its elapsed time."""
        if self.fabric.world_size > 1:
            self.elapsed_s, stopping = self.fabric.broadcast((self.elapsed_s, stopping))
        return stopping

    def close(self) -> None:
        if self.log is not None:
            self.log.close()

    def save(self) -> None:
        if not self.fabric.is_global_zero:
            return
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "best": self.best,
            "stale": self.stale,
            "plateau": asdict(self.plateau),
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
        self.plateau = Plateau(**state.get("plateau", {}))
        logger.info("going on from step %d of %s", self.step, path)
